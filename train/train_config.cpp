#include "train/train_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"
#include "data/text/model_text.h"

namespace nkat::train {
namespace {

using Json = nlohmann::ordered_json;
using Pointer = Json::json_pointer;

constexpr double kLargest = 1e9;

bool is_whole_number(const std::string& text, std::size_t digits) {
  return !text.empty() && text.size() <= digits && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string checkpointing_error(const std::string& text) {
  if (text == "auto" || text == "none" || text == "full" || is_whole_number(text, 3)) return "";
  return expected("auto, none, full or a number of layers", fmt::format("'{}'", text));
}

std::string packing_error(const std::string& text) {
  if (text == "auto" || text == "none" || (is_whole_number(text, 7) && std::stoll(text) > 0)) return "";
  return expected("auto, none or a number of tokens from 1 to 9999999", fmt::format("'{}'", text));
}

void declare_data(OptionList& options, TrainConfig& config, bool for_plan) {
  options.add("model-path", config.model_path,
              {.help = data::kModelPathHelp,
               .metavar = data::kModelPathMetavar,
               .required = true,
               .resume = Resume::kSameContent,
               .per_rank = true});
  options.add("train-data", config.train_data,
              {.help = "training data: JSONL, a JSON list or CSV; FILE:N uses a file N times",
               .metavar = "FILE",
               .required = !for_plan,
               .resume = Resume::kSameContent,
               .per_rank = true});
  options.add(
      "validation-data", config.validation_data,
      {.help = "data file for the validation loss", .metavar = "FILE", .resume = Resume::kMayChange, .per_rank = true});
  options.add("output-dir", config.output_dir,
              {.help = "run folder; a run in it is resumed",
               .metavar = "DIR",
               .required = !for_plan,
               .resume = Resume::kMayChange,
               .per_rank = true});
  options.add("max-steps", config.max_steps,
              {.help = "optimizer steps", .minimum = 1, .maximum = kLargest, .resume = Resume::kMayChange});
  options.add("batch-size", config.batch_size, {.help = "samples per micro-batch", .minimum = 1, .maximum = 4096});
  options.add("gradient-accumulation", config.gradient_accumulation,
              {.help = "micro-batches per optimizer step", .minimum = 1, .maximum = 65536});
  data::declare_dataset_options(options, config.dataset);
  options.add("seed", config.seed,
              {.help = "random seed of initial rotations and data order", .minimum = 0, .maximum = 4294967295.0});
}

void declare_adapter(OptionList& options, TrainConfig& config) {
  options.add("alpha-init", config.alpha_init,
              {.help = "initial gate parameter alpha; the gate is sigmoid(alpha), 0.0067 at -5",
               .minimum = -30,
               .maximum = 30});
  options.add("weight-init-std", config.weight_init_std,
              {.help = "standard deviation of the initial rotation weights", .minimum = 0, .maximum = 1});
  options.add("first-adapter-layer", config.first_adapter_layer,
              {.help = "first layer with an adapter", .minimum = 0, .maximum = 511});
  options.add("triality-weight", config.triality_weight,
              {.help = "weight of the triality loss after its warm-up", .minimum = 0, .maximum = 1e6});
  options.add("annealing-warmup", config.annealing_warmup,
              {.help = "warm-up of the triality weight", .unit = "steps", .minimum = 0, .maximum = kLargest});
  options.add("control", config.control, kControlNames,
              {.help = "ablation: identity keeps the rotations at I, shuffled permutes the targets, frozen-gates keeps "
                       "the gates"});
}

void declare_optimizer(OptionList& options, TrainConfig& config) {
  options.add("learning-rate", config.learning_rate,
              {.help = "learning rate of the rotations", .minimum = 0, .maximum = 10});
  options.add("alpha-learning-rate", config.alpha_learning_rate,
              {.help = "learning rate of the gates", .minimum = 0, .maximum = 10});
  options.add("schedule", config.schedule, kScheduleNames, {.help = "learning-rate schedule"});
  options.add("warmup-steps", config.warmup_steps,
              {.help = "linear warm-up of the learning rates", .unit = "steps", .minimum = 0, .maximum = kLargest});
  options.add("min-rate-ratio", config.min_rate_ratio,
              {.help = "final learning rate as a fraction of the peak", .minimum = 0, .maximum = 1});
  options.add("max-grad-norm", config.max_grad_norm,
              {.help = "gradient clipping threshold (global norm), 0 = off", .minimum = 0, .maximum = kLargest});
  options.add("adam-epsilon", config.adam_epsilon,
              {.help = "Adam's epsilon", .minimum = 0, .maximum = 1, .above_minimum = true});
}

void declare_machine(OptionList& options, TrainConfig& config) {
  models::declare_device_options(options, config.device, config.precision, config.base);
  options.add("vram-budget-gib", config.vram_budget_gib,
              {.help = "memory budget",
               .unit = "GiB",
               .minimum = 0,
               .maximum = 4096,
               .above_minimum = true,
               .resume = Resume::kMayChange,
               .per_rank = true});
  options.add("checkpointing", config.checkpointing,
              {.help = "layers whose activations are recomputed in the backward pass: auto, none, full or a number",
               .metavar = "auto|none|full|N",
               .check = checkpointing_error,
               .resume = Resume::kMayChange,
               .per_rank = true});
  options.add("tokens-per-micro-batch", config.tokens_per_micro_batch,
              {.help = "samples of a step are packed, without padding, up to this many tokens; same gradient up to "
                       "rounding. none: --batch-size samples; auto: 1024 on a GPU, 512 on a CPU, less where that would "
                       "recompute more layers; N: 1 to 9999999",
               .metavar = "auto|none|N",
               .check = packing_error,
               .resume = Resume::kMayChange,
               .per_rank = true});
}

void declare_records(OptionList& options, TrainConfig& config) {
  const auto interval = [&](const char* name, std::int64_t& field, const char* help) {
    options.add(name, field,
                {.help = help, .unit = "steps", .minimum = 1, .maximum = kLargest, .resume = Resume::kMayChange});
  };
  interval("checkpoint-every", config.checkpoint_every, "checkpoint interval");
  options.add("keep-checkpoints", config.keep_checkpoints,
              {.help = "newest checkpoints to keep besides step 0, 0 = all",
               .minimum = 0,
               .maximum = kLargest,
               .resume = Resume::kMayChange});
  interval("validate-every", config.validate_every, "validation interval");
  options.add("early-stopping-patience", config.early_stopping_patience,
              {.help = "validations in a row without a lower validation loss that end the run, 0 = off; needs "
                       "--validation-data",
               .minimum = 0,
               .maximum = kLargest,
               .resume = Resume::kMayChange});
  options.add(
      "sample-prompts", config.sample_prompts,
      {.help = "text file, a prompt a line: at each multiple of --validate-every and at the last step the adapter's "
               "answers (greedy, at most 128 tokens) go to samples.jsonl and the log",
       .metavar = "FILE",
       .resume = Resume::kMayChange,
       .per_rank = true});
  options.add("tensorboard", config.tensorboard,
              {.help = "write the metrics for TensorBoard too, into the folder tensorboard/ of the run",
               .resume = Resume::kMayChange});
  interval("log-every", config.log_every, "log interval");
  options.add("resume", config.resume, kResumePolicyNames,
              {.help = "resume the run in the output folder, or refuse if there is one", .resume = Resume::kMayChange});
  options.add("rank-timeout", config.rank_timeout,
              {.help = "how long a rank (a process of torchrun) waits for the others in one exchange",
               .unit = "s",
               .minimum = 5,
               .maximum = 86400,
               .resume = Resume::kMayChange});
}

std::vector<std::string> check_patience(const TrainConfig& config) {
  if (config.early_stopping_patience == 0 || !config.validation_data.empty()) return {};
  return {"--early-stopping-patience: " + expected("--validation-data too, since its loss decides", "none",
                                                   "give held-out records, or leave the patience out")};
}

// The options with the values of a config, for a call on each.
template <class Call>
auto with_options(const TrainConfig& config, const Call& call) {
  TrainConfig copy = config;
  OptionList options;
  declare_options(options, copy, /*for_plan=*/true);
  return call(options);
}

template <class Value>
void read_saved(const Json& saved, const char* pointer, Value& value) {
  const Pointer key(pointer);
  if (!saved.contains(key)) return;
  const Json& found = saved[key];
  if constexpr (std::is_same_v<Value, std::string>) {
    if (found.is_string()) value = found.get<std::string>();
  } else if constexpr (std::is_floating_point_v<Value>) {
    if (found.is_number()) value = found.get<Value>();
  } else {
    if (found.is_number_integer()) value = found.get<Value>();
  }
}

// Values that are `auto` keep what they were resolved to.
void keep_resolved(TrainConfig& config, const Json& saved, const OptionList& options) {
  if (config.device == "auto") read_saved(saved, "/device", config.device);
  if (config.precision == models::Precision::kAuto) {
    std::string name;
    read_saved(saved, "/precision", name);
    config.precision = value_of(name, models::kPrecisionNames).value_or(config.precision);
  }
  if (config.checkpointing == "auto") read_saved(saved, "/checkpointing", config.checkpointing);
  if (config.tokens_per_micro_batch == "auto")
    read_saved(saved, "/tokens_per_micro_batch", config.tokens_per_micro_batch);
  if (!options.given("vram-budget-gib")) read_saved(saved, "/vram_budget_gib", config.vram_budget_gib);
}

// Logs each difference that may be, and returns those that may not.
std::vector<std::string> forbidden_changes(const TrainConfig& config, const Json& saved, const OptionList& now) {
  std::vector<std::string> changes;
  for (const OptionList::Option& option : now.options()) {
    const std::string key = option.key();
    const Json value = option.value();
    const bool fixed = option.info.resume == Resume::kFixed;
    if (!saved.contains(key)) {
      const bool older_run = key == "base" && config.base == models::BaseFormat::kSafe;  // from before that option
      if (!fixed || older_run) continue;
      throw FormatError(
          fmt::format("{}/config.json: the key '{}' is missing; restore the file or use another --output-dir",
                      config.output_dir, key));
    }
    if (saved[key] == value) continue;
    const std::string change = fmt::format("{} was {} and is now {}", key, saved[key].dump(), value.dump());
    if (fixed) {
      changes.push_back(change);
    } else {
      log::info("resuming with a change: " + change);
    }
  }
  return changes;
}

}  // namespace

void declare_options(OptionList& options, TrainConfig& config, bool for_plan) {
  declare_data(options, config, for_plan);
  declare_adapter(options, config);
  declare_optimizer(options, config);
  declare_machine(options, config);
  declare_records(options, config);
  if (!for_plan) options.add_check([&config] { return check_patience(config); });
  options.add_preset("guide", "the published rates, 5e-5 for rotations and gates",
                     {{"learning-rate", "5e-5"},
                      {"alpha-learning-rate", "5e-5"},
                      {"alpha-init", "-5"},
                      {"triality-weight", "0.1"},
                      {"max-steps", "5000"},
                      {"batch-size", "1"},
                      {"gradient-accumulation", "32"}});
}

Json to_json(const TrainConfig& config) {
  return with_options(config, [](const OptionList& options) { return options.to_json(); });
}

Json shared_options(const TrainConfig& config) {
  return with_options(config, [](const OptionList& options) {
    return options.to_json([](const OptionInfo& info) { return !info.per_rank; });
  });
}

void limit_default_length(TrainConfig& config, std::int64_t model_positions, const OptionList& options) {
  if (options.given("max-sequence-length") || config.dataset.max_sequence_length <= model_positions) return;
  config.dataset.max_sequence_length = model_positions;
  log::info(fmt::format("--max-sequence-length: {}, all that this model can address", model_positions));
}

void adopt_saved_config(TrainConfig& config, const Json& saved, const OptionList& options) {
  keep_resolved(config, saved, options);
  const std::vector<std::string> changes =
      with_options(config, [&](const OptionList& now) { return forbidden_changes(config, saved, now); });
  if (changes.empty()) return;
  throw ConfigError(
      fmt::format("{}: the run there was started with other options: {}. Use the same ones, or another --output-dir",
                  config.output_dir, fmt::join(changes, "; ")));
}

}  // namespace nkat::train
