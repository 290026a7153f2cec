#include "train/distributed/setup.h"

#include <nlohmann/json.hpp>

#include "core/files/sha256.h"
#include "core/json.h"
#include "core/version.h"
#include "models/device.h"

namespace nkat::train {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t first_word(const std::string& hex) { return std::stoull(hex.substr(0, 16), nullptr, 16); }

std::array<at::Tensor, 6> tensors_of(const TrainerState& state) {
  const OptimizerState& optimizer = state.optimizer;
  return {state.adapter.weight,           state.adapter.alpha,
          optimizer.first_moment.weight,  optimizer.first_moment.alpha,
          optimizer.second_moment.weight, optimizer.second_moment.alpha};
}

Json what_must_agree(const TrainConfig& config) {
  Json json{{"version of nkat", kVersion}};
  json.update(shared_options(config));
  return json;
}

}  // namespace

std::unique_ptr<ProcessGroup> init_process_group(const TrainConfig& config) {
  const auto environment = rank_environment();
  if (!environment) return std::make_unique<ProcessGroup>();
  if (config.window_samples() < environment->size) {
    throw ConfigError(fmt::format(
        "{} ranks can't share a window of {} samples; at least one each was expected: use fewer ranks, or a larger "
        "--gradient-accumulation",
        environment->size, config.window_samples()));
  }
  return std::make_unique<ProcessGroup>(*environment, std::chrono::seconds(config.rank_timeout));
}

std::string rank_device(const std::string& asked, const RankEnvironment& environment) {
  if (environment.size == 1) return asked;
  if (asked == "auto") {
    const bool gpus = models::resolve_device("auto").is_cuda();
    return gpus ? fmt::format("cuda:{}", environment.local_rank) : "cpu";
  }
  if (asked != "cpu" && environment.local_size > 1) {
    throw ConfigError(
        fmt::format("--device {}: the {} ranks of this machine need a device each; use --device auto or cpu", asked,
                    environment.local_size));
  }
  return asked;
}

std::optional<Json> broadcast_json(ProcessGroup& ranks, const std::optional<Json>& json) {
  if (ranks.size() == 1) return json;
  const std::string text = ranks.broadcast(json ? json->dump() : "");
  if (text.empty()) return std::nullopt;
  return parse_json(text, "rank 0's config.json");
}

bool broadcast_flag(ProcessGroup& ranks, bool flag) { return ranks.broadcast(flag ? "1" : "") == "1"; }

void require_same_run(ProcessGroup& ranks, const TrainConfig& config, const RunIdentity& identity,
                      const std::string& validation_sha256) {
  if (ranks.size() == 1) return;
  Json mine = what_must_agree(config);
  mine["training data"] = identity.data_sha256;
  mine["validation data"] = validation_sha256.empty() ? "none" : validation_sha256;
  mine["base model"] = identity.base.base_sha256;
  const std::vector<std::string> texts = ranks.all_gather(mine.dump());
  const Json first = parse_json(texts.front(), "what rank 0 trains");
  std::vector<std::string> differences;
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    const Json other = parse_json(texts[rank], fmt::format("what rank {} trains", rank));
    for (const auto& [name, value] : first.items()) {
      const Json found = other.value(name, Json());
      if (found != value)
        differences.push_back(fmt::format("{}: {} on rank {}, {} on rank 0", name, found.dump(), rank, value.dump()));
    }
  }
  if (differences.empty()) return;
  ranks.shutdown();
  throw RankMismatch(fmt::format(
      "all ranks must train the same, with one program; found {}. Start them with the same options and files",
      fmt::join(differences, "; ")));
}

void broadcast_state(ProcessGroup& ranks, TrainerState& state) {
  if (ranks.size() == 1) return;
  const Json start =
      *broadcast_json(ranks, Json{{"step", state.step},
                                  {"updates", state.optimizer.updates},
                                  {"pending", state.pending ? data::to_json_line(*state.pending) : std::string()}});
  state.step = start.at("step").get<std::int64_t>();
  state.optimizer.updates = start.at("updates").get<std::int64_t>();
  const auto pending = start.at("pending").get<std::string>();
  if (!pending.empty()) state.pending = data::parse_metrics_line(pending, "rank 0's unfinished step");
  for (const at::Tensor& tensor : tensors_of(state)) ranks.broadcast(tensor);
}

std::uint64_t state_digest(const TrainerState& state) {
  Sha256 hash;
  hash.update(fmt::format("{} {}", state.step, state.optimizer.updates));
  for (const at::Tensor& tensor : tensors_of(state)) {
    hash.update(std::as_bytes(std::span(tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel()))));
  }
  return first_word(hash.hex());
}

}  // namespace nkat::train
