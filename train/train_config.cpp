#include "train/train_config.h"

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "data/run/run_config.h"
#include "models/weights/weight_format.h"

namespace nkat::train {
namespace {

constexpr double kLargest = 1e9;

void declare_data(OptionList& options, TrainConfig& config, bool for_plan) {
  options.add("model-path", config.model_path,
              {.help = "folder of the Phi-3 model in Hugging Face format", .value = "DIR", .required = true});
  options.add("train-data", config.train_data,
              {.help = "JSONL files; FILE:N uses one N times", .value = "FILE", .required = !for_plan});
  options.add("validation-data", config.validation_data,
              {.help = "JSONL file for the validation loss", .value = "FILE"});
  options.add("output-dir", config.output_dir,
              {.help = "folder of the run; a run in it is resumed", .value = "DIR", .required = !for_plan});
  options.add("max-steps", config.max_steps, {.help = "optimizer steps", .minimum = 1, .maximum = kLargest});
  options.add("batch-size", config.batch_size, {.help = "samples a micro-batch", .minimum = 1, .maximum = 4096});
  options.add("gradient-accumulation", config.gradient_accumulation,
              {.help = "micro-batches a step", .minimum = 1, .maximum = 65536});
  data::declare_dataset_options(options, config.dataset);
  options.add("seed", config.seed,
              {.help = "of initial rotations and data order", .minimum = 0, .maximum = 4294967295.0});
}

void declare_adapter(OptionList& options, TrainConfig& config) {
  options.add("alpha-init", config.alpha_init,
              {.help = "initial gate parameter; sigmoid(-5) = 0.0067", .minimum = -30, .maximum = 30});
  options.add("weight-init-std", config.weight_init_std,
              {.help = "standard deviation of the initial rotation weights", .minimum = 0, .maximum = 1});
  options.add("first-adapter-layer", config.first_adapter_layer,
              {.help = "layers below it stay without adapter", .minimum = 0, .maximum = 511});
  options.add("triality-weight", config.triality_weight,
              {.help = "largest weight of the triality loss", .minimum = 0, .maximum = 1e6});
  options.add("annealing-warmup", config.annealing_warmup,
              {.help = "steps until the triality weight is reached", .minimum = 0, .maximum = kLargest});
  options.add("control", config.control,
              {.help = "control run: identity holds the rotations at I, shuffled permutes the targets, frozen-gates "
                       "holds the gates",
               .choices = {"none", "identity", "shuffled", "frozen-gates"}});
}

void declare_optimizer(OptionList& options, TrainConfig& config) {
  options.add("learning-rate", config.learning_rate, {.help = "of the rotation weights", .minimum = 0, .maximum = 10});
  options.add("alpha-learning-rate", config.alpha_learning_rate, {.help = "of the gates", .minimum = 0, .maximum = 10});
  options.add("schedule", config.schedule, {.help = "of both rates", .choices = {"cosine", "constant", "linear"}});
  options.add("warmup-steps", config.warmup_steps,
              {.help = "steps of linear warm-up", .minimum = 0, .maximum = kLargest});
  options.add("min-rate-ratio", config.min_rate_ratio,
              {.help = "last rate over base rate", .minimum = 0, .maximum = 1});
  options.add("max-grad-norm", config.max_grad_norm,
              {.help = "global gradient norm is clipped to it; 0 = off", .minimum = 0, .maximum = kLargest});
  options.add("adam-epsilon", config.adam_epsilon,
              {.help = "Adam's epsilon", .minimum = 0, .maximum = 1, .above_minimum = true});
}

void declare_machine(OptionList& options, TrainConfig& config) {
  options.add("device", config.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("precision", config.precision,
              {.help = "of the frozen model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("base", config.base, {.help = models::kBaseHelp, .choices = models::base_format_names()});
  options.add("vram-budget-gib", config.vram_budget_gib,
              {.help = "memory that the run may take, GiB", .minimum = 0, .maximum = 4096, .above_minimum = true});
  options.add(
      "checkpointing", config.checkpointing,
      {.help = "layers whose activations are recomputed: auto, none, full or a number, at most the model's layers",
       .value = "auto|none|full|N"});
  options.add(
      "tokens-per-micro-batch", config.tokens_per_micro_batch,
      {.help = "samples of a window are packed, without padding, up to so many tokens; the gradient is the same "
               "but for rounding. none: --batch-size samples; auto: 1024 on a GPU, 512 on a CPU, or less "
               "where that would recompute more layers; N: 1 to 9999999",
       .value = "auto|none|N"});
  options.add("checkpoint-every", config.checkpoint_every,
              {.help = "steps between saved checkpoints", .minimum = 1, .maximum = kLargest});
  options.add("keep-checkpoints", config.keep_checkpoints,
              {.help = "newest checkpoints to keep, and step 0; 0 = all", .minimum = 0, .maximum = kLargest});
  options.add("validate-every", config.validate_every,
              {.help = "steps between validations", .minimum = 1, .maximum = kLargest});
  options.add("log-every", config.log_every, {.help = "steps between log lines", .minimum = 1, .maximum = kLargest});
  options.add(
      "resume", config.resume,
      {.help = "go on with the run in the output folder, or insist on a new one", .choices = {"auto", "never"}});
  options.add("rank-timeout", config.rank_timeout,
              {.help = "seconds that a rank (a process that torchrun started) waits for the others in one exchange "
                       "before all give up",
               .minimum = 5,
               .maximum = 86400});
}

// Names in config.json that may differ on resume. Data and model are compared by hash, not by path.
const std::set<std::string>& changeable() {
  static const std::set<std::string> names = {"model_path",       "train_data",
                                              "validation_data",  "output_dir",
                                              "max_steps",        "checkpoint_every",
                                              "keep_checkpoints", "validate_every",
                                              "log_every",        "resume",
                                              "device",           "vram_budget_gib",
                                              "checkpointing",    "tokens_per_micro_batch",
                                              "rank_timeout"};
  return names;
}

std::vector<std::string> check(const TrainConfig& config) {
  std::vector<std::string> complaints;
  const std::string &layers = config.checkpointing, &packed = config.tokens_per_micro_batch;
  const auto is_number = [](const std::string& text, std::size_t digits) {
    return !text.empty() && text.size() <= digits && text.find_first_not_of("0123456789") == std::string::npos;
  };
  const std::string& device = config.device;
  const bool numbered = device.size() > 5 && device.size() < 9 && device.starts_with("cuda:") &&
                        device.find_first_not_of("0123456789", 5) == std::string::npos;
  if (device != "auto" && device != "cpu" && device != "cuda" && !numbered) {
    complaints.push_back(fmt::format("--device: auto, cpu or cuda:N was expected, found '{}'", device));
  }
  if (layers != "auto" && layers != "none" && layers != "full" && !is_number(layers, 3)) {
    complaints.push_back(
        fmt::format("--checkpointing: auto, none, full or a number of layers was expected, found '{}'", layers));
  }
  if (packed != "auto" && packed != "none" && (!is_number(packed, 7) || std::stoll(packed) == 0)) {
    complaints.push_back(fmt::format(
        "--tokens-per-micro-batch: auto, none or a number of tokens from 1 to 9999999 was expected, found '{}'",
        packed));
  }
  return complaints;
}

}  // namespace

void declare_options(OptionList& options, TrainConfig& config, bool for_plan) {
  declare_data(options, config, for_plan);
  declare_adapter(options, config);
  declare_optimizer(options, config);
  declare_machine(options, config);
  options.add_preset("guide", "the published rates, 5e-5 for rotations and gates",
                     {{"learning-rate", "5e-5"},
                      {"alpha-learning-rate", "5e-5"},
                      {"alpha-init", "-5"},
                      {"triality-weight", "0.1"},
                      {"max-steps", "5000"},
                      {"batch-size", "1"},
                      {"gradient-accumulation", "32"}});
  options.add_check([&config] { return check(config); });
}

nlohmann::ordered_json to_json(const TrainConfig& config) {
  TrainConfig copy = config;
  OptionList options;
  declare_options(options, copy, true);
  return options.to_json();
}

void limit_default_length(TrainConfig& config, std::int64_t model_positions, const OptionList& options) {
  if (options.given("max-sequence-length") || config.dataset.max_sequence_length <= model_positions) return;
  config.dataset.max_sequence_length = model_positions;
  log::info(fmt::format("--max-sequence-length: {}, all that this model can address", model_positions));
}

void adopt_saved_config(TrainConfig& config, const nlohmann::ordered_json& saved, const OptionList& options) {
  const auto keep = [&](const char* key, std::string& field, const std::string& unless_changed_from) {
    const bool unchanged = field == "auto" || field == unless_changed_from;
    if (unchanged && saved.contains(key) && saved[key].is_string()) field = saved[key].get<std::string>();
  };
  const data::RunFacts before = data::run_facts(saved);
  config.requested_checkpointing = config.checkpointing;
  config.validation_sha256 = before.validation_sha256;
  config.validation_since = before.validation_since;
  keep("device", config.device, "auto");
  keep("precision", config.precision, "auto");
  keep("checkpointing", config.checkpointing, before.requested_checkpointing);
  keep("tokens_per_micro_batch", config.tokens_per_micro_batch, "auto");
  if (!options.given("vram-budget-gib") && saved.contains("vram_budget_gib") && saved["vram_budget_gib"].is_number()) {
    config.vram_budget_gib = saved["vram_budget_gib"].get<double>();
  }
  if (before.ranks != config.ranks)
    log::info(fmt::format("resuming with a change: ranks was {} and is now {}; same up to rounding", before.ranks,
                          config.ranks));
  std::vector<std::string> differences;
  const nlohmann::ordered_json now = to_json(config);
  for (const auto& [key, value] : now.items()) {
    if (key == "base" && !saved.contains(key) && value == "safe") continue;  // of a run without that option
    if (!saved.contains(key) && changeable().count(key) == 0) {
      throw FormatError(
          fmt::format("{}/config.json: the key '{}' is missing; restore the file or use another --output-dir",
                      config.output_dir, key));
    }
    if (!saved.contains(key) || saved[key] == value) continue;
    const std::string change = fmt::format("{} was {} and is now {}", key, saved[key].dump(), value.dump());
    if (changeable().count(key) > 0) {
      log::info("resuming with a change: " + change);
    } else {
      differences.push_back(change);
    }
  }
  if (differences.empty()) return;
  throw ConfigError(
      fmt::format("{}: the run there was started with other options: {}. Use the same ones, or another --output-dir",
                  config.output_dir, fmt::join(differences, "; ")));
}

}  // namespace nkat::train
