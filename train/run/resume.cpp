#include "train/run/resume.h"

#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/version.h"

namespace nkat::train {
namespace {

using Json = nlohmann::ordered_json;

TrainerState fresh_state(const TrainConfig& config, const models::ModelConfig& model) {
  TrainerState state;
  const bool identity = config.control == Control::kIdentity;
  state.adapter = models::init_adapter(model, {.first_layer = config.first_adapter_layer,
                                               .alpha = config.alpha_init,
                                               .weight_std = identity ? 0.0 : config.weight_init_std,
                                               .seed = static_cast<std::uint64_t>(config.seed)});
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  return state;
}

// Rank 0's, on each.
std::optional<Json> broadcast_json(ProcessGroup& group, const std::optional<Json>& json, const std::string& what) {
  if (group.size() == 1) return json;
  const std::string text = group.broadcast(json ? json->dump() : "");
  if (text.empty()) return std::nullopt;
  return parse_json(text, what);
}

// The settings of the saved run; the options take over what it has resolved.
data::RunFacts adopt_run(TrainConfig& config, const Json& saved, const OptionList& options, int ranks) {
  data::RunFacts settings = data::run_facts(saved);
  const std::string requested = config.checkpointing;
  if (requested == settings.requested_checkpointing) config.checkpointing = "auto";  // as resolved then
  adopt_saved_config(config, saved, options);
  settings.requested_checkpointing = requested;
  if (settings.ranks != ranks) {
    log::info(
        fmt::format("resuming with a change: ranks was {} and is now {}; same up to rounding", settings.ranks, ranks));
  }
  return settings;
}

// "seed: 1 on rank 1, 0 on rank 0", for each rank and each value that differs.
std::vector<std::string> differences(const std::vector<std::string>& texts) {
  const Json first = parse_json(texts.front(), "rank 0's options");
  std::vector<std::string> found;
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    const Json other = parse_json(texts[rank], fmt::format("rank {}'s options", rank));
    for (const auto& [name, value] : first.items()) {
      const Json of_rank = other.value(name, Json());
      if (of_rank != value)
        found.push_back(fmt::format("{}: {} on rank {}, {} on rank 0", name, of_rank.dump(), rank, value.dump()));
    }
  }
  return found;
}

}  // namespace

RunStart find_start(const RunFolder* folder, ProcessGroup& group, TrainConfig& config, const OptionList& options,
                    const models::ModelConfig& model) {
  const auto saved =
      broadcast_json(group, folder != nullptr ? folder->saved_config() : std::nullopt, "rank 0's config.json");
  data::RunFacts settings{.requested_checkpointing = config.checkpointing};
  settings.memory.micro_batch_samples = config.global_batch_samples();
  std::optional<LoadedCheckpoint> checkpoint;
  if (saved) {
    if (config.resume == ResumePolicy::kNever) {
      throw ConfigError(fmt::format("{}: {}", config.output_dir,
                                    expected("no run, since --resume never is given", "one",
                                             "use another --output-dir or leave the option out")));
    }
    settings = adopt_run(config, *saved, options, group.size());
    if (folder != nullptr) checkpoint = load_newest_checkpoint(folder->checkpoints(), model);
  }
  settings.ranks = group.size();
  RunStart start;
  if (checkpoint) {
    log::info(fmt::format("resuming from {}", checkpoint->path.string()));
    start = {.state = std::move(checkpoint->state), .identity = std::move(checkpoint->identity)};
  } else {
    start.state = fresh_state(config, model);
  }
  start.state.settings = std::move(settings);
  return start;
}

void adopt_validation_data(RunStart& start, const std::string& sha256) {
  if (sha256.empty()) return;
  data::RunFacts& settings = start.state.settings;
  if (start.identity && !settings.validation_sha256.empty() && settings.validation_sha256 != sha256) {
    settings.validation_since = start.state.step - (start.state.pending ? 1 : 0);
    log::warning(
        fmt::format("the validation data has changed: adapter-best/ and the summary count its losses after step {}",
                    settings.validation_since));
  }
  settings.validation_sha256 = sha256;
}

void require_same_run(const RunStart& start, const RunIdentity& now, const std::string& output_dir) {
  if (!start.identity) return;
  const RunIdentity& saved = *start.identity;
  const auto require_same = [&](const char* what, const std::string& then, const std::string& found) {
    if (then == found) return;
    throw DataError(
        fmt::format("{}: the run was started on {} (SHA-256 {}, now {}); restore it or use another "
                    "--output-dir",
                    output_dir, what, then, found));
  };
  require_same("other training data", saved.data_sha256, now.data_sha256);
  if (saved.seed != now.seed || (saved.batch_samples > 0 && saved.batch_samples != now.batch_samples)) {
    throw DataError(
        fmt::format("{}: config.json and the newest checkpoint differ in seed or batch; restore the file "
                    "or use another --output-dir",
                    output_dir));
  }
  require_same("another base model", saved.base.base_sha256, now.base.base_sha256);
}

void require_same_on_all_ranks(ProcessGroup& group, const TrainConfig& config, const RunIdentity& identity,
                               const std::string& validation_sha256) {
  if (group.size() == 1) return;
  Json mine{{"version of nkat", kVersion}};
  mine.update(shared_options(config));
  mine["training data"] = identity.data_sha256;
  mine["validation data"] = validation_sha256.empty() ? "none" : validation_sha256;
  mine["base model"] = identity.base.base_sha256;
  const std::vector<std::string> found = differences(group.all_gather(mine.dump()));
  if (found.empty()) return;
  group.shutdown();
  throw RankMismatch(expected("the same program, options and data on all ranks",
                              fmt::format("{}", fmt::join(found, "; ")), "start them with the same options and files"));
}

void broadcast_state(ProcessGroup& group, TrainerState& state) {
  if (group.size() == 1) return;
  const Json mine{{"step", state.step},
                  {"updates", state.optimizer.updates},
                  {"pending", state.pending ? data::to_json_line(*state.pending) : std::string()}};
  const Json first = *broadcast_json(group, mine, "rank 0's state");
  state.step = first.at("step").get<std::int64_t>();
  state.optimizer.updates = first.at("updates").get<std::int64_t>();
  const auto pending = first.at("pending").get<std::string>();
  if (!pending.empty()) state.pending = data::parse_metrics_line(pending, "rank 0's unfinished step");
  for (const at::Tensor& tensor : trained_tensors(state)) group.broadcast(tensor);
}

}  // namespace nkat::train
