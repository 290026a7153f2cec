// The options of `nkat train` and `nkat plan`. Declared once, in declare_options(): flags, --help, --config's keys, the
// run's config.json, what may change on resume and what may differ between ranks all come from that list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/cli/options.h"
#include "data/datasets/dataset_options.h"
#include "data/run/run_config.h"
#include "models/device.h"
#include "train/schedule.h"

namespace nkat::train {

using data::Control;
using data::kControlNames;

enum class ResumePolicy { kAuto, kNever };
inline constexpr EnumNames<ResumePolicy, 2> kResumePolicyNames = {
    {{ResumePolicy::kAuto, "auto"}, {ResumePolicy::kNever, "never"}}};

struct TrainConfig {
  // Model and data.
  std::string model_path;
  std::vector<std::string> train_data;  // FILE, or FILE:N to use it N times
  std::string validation_data;
  std::string output_dir;

  // The global batch: batch_size x gradient_accumulation samples per step.
  std::int64_t max_steps = 5000;
  std::int64_t batch_size = 1;
  std::int64_t gradient_accumulation = 32;
  data::DatasetOptions dataset;
  std::int64_t seed = 0;

  // The adapter and its loss.
  double alpha_init = data::kDefaultAlphaInit;
  double weight_init_std = 0.01;
  std::int64_t first_adapter_layer = 0;
  double triality_weight = 0.1;
  std::int64_t annealing_warmup = 500;
  Control control = Control::kNone;

  // The optimizer.
  double learning_rate = 1e-3;
  double alpha_learning_rate = 5e-3;
  ScheduleKind schedule = ScheduleKind::kCosine;
  std::int64_t warmup_steps = 100;
  double min_rate_ratio = 0.1;
  double max_grad_norm = 1.0;
  double adam_epsilon = 1e-12;

  // The machine.
  std::string device = "auto";
  models::Precision precision = models::Precision::kAuto;
  models::BaseFormat base = models::BaseFormat::kSafe;
  double vram_budget_gib = data::kDefaultVramBudgetGib;
  std::string checkpointing = "auto";           // auto, none, full, or how many layers recompute
  std::string tokens_per_micro_batch = "auto";  // auto, none, or how many are packed together

  // The run's records.
  std::int64_t checkpoint_every = 50;
  std::int64_t keep_checkpoints = 0;
  std::int64_t validate_every = 100;
  std::int64_t early_stopping_patience = 0;  // validations; 0: off
  std::string sample_prompts;
  bool tensorboard = false;
  std::int64_t log_every = 10;
  ResumePolicy resume = ResumePolicy::kAuto;
  std::int64_t rank_timeout = 120;

  // Of a resolved config; 0: micro-batches are not packed.
  std::int64_t packed_tokens() const {
    return tokens_per_micro_batch == "none" ? 0 : std::stoll(tokens_per_micro_batch);
  }
  std::int64_t global_batch_samples() const { return batch_size * gradient_accumulation; }
  Schedule rate_schedule() const { return {schedule, warmup_steps, max_steps, min_rate_ratio}; }
};

// for_plan: a plan needs neither data nor an output folder.
void declare_options(OptionList& options, TrainConfig& config, bool for_plan);

// The effective config as it is saved, keys in the order of the declaration.
nlohmann::ordered_json to_json(const TrainConfig& config);
// The part that is the same on all ranks of a run.
nlohmann::ordered_json shared_options(const TrainConfig& config);

// Lowers a default --max-sequence-length that the model can't address, and logs it.
void limit_default_length(TrainConfig& config, std::int64_t model_positions, const OptionList& options);

// Continues a run that was started with `saved`: values that are `auto` take what they were resolved to. ConfigError
// for a difference that would change the run, with option, old and new value; one that is allowed is logged.
// `options`: which ones were given this time.
void adopt_saved_config(TrainConfig& config, const nlohmann::ordered_json& saved, const OptionList& options);

}  // namespace nkat::train
