// Everything that `nkat train` and `nkat plan` can be told. Declared once, in declare_options(): flags, --help, the
// keys of --config, the run's config.json and the check on resume all come from that list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/cli/options.h"
#include "data/datasets/dataset_options.h"
#include "train/schedule.h"

namespace nkat::train {

struct TrainConfig {
  // What is trained on what.
  std::string model_path;
  std::vector<std::string> train_data;  // FILE, or FILE:N to use it N times
  std::string validation_data;
  std::string output_dir;

  // The window: batch_size x gradient_accumulation samples a step.
  std::int64_t max_steps = 5000;
  std::int64_t batch_size = 1;
  std::int64_t gradient_accumulation = 32;
  data::DatasetOptions dataset;
  std::int64_t seed = 0;

  // The adapter and its objective.
  double alpha_init = -5.0;
  double weight_init_std = 0.01;
  std::int64_t first_adapter_layer = 0;
  double triality_weight = 0.1;
  std::int64_t annealing_warmup = 500;
  std::string control = "none";

  // The optimizer.
  double learning_rate = 1e-3;
  double alpha_learning_rate = 5e-3;
  std::string schedule = "cosine";
  std::int64_t warmup_steps = 100;
  double min_rate_ratio = 0.1;
  double max_grad_norm = 1.0;
  double adam_epsilon = 1e-12;

  // The machine.
  std::string device = "auto";
  std::string precision = "auto";
  std::string base = "safe";
  double vram_budget_gib = 11.5;
  std::string checkpointing = "auto";           // auto, none, full, or how many layers recompute
  std::string tokens_per_micro_batch = "auto";  // auto, none, or how many are packed together

  // Records of the run.
  std::int64_t checkpoint_every = 50;
  std::int64_t keep_checkpoints = 0;
  std::int64_t validate_every = 100;
  std::int64_t log_every = 10;
  std::string resume = "auto";
  std::int64_t rank_timeout = 120;

  // Of a resolved config; 0: micro-batches are not packed.
  std::int64_t packed_tokens() const {
    return tokens_per_micro_batch == "none" ? 0 : std::stoll(tokens_per_micro_batch);
  }
  std::int64_t window_samples() const { return batch_size * gradient_accumulation; }
  Schedule rate_schedule() const { return {schedule_kind(schedule), warmup_steps, max_steps, min_rate_ratio}; }
};

// for_plan: a plan needs neither data nor an output folder.
void declare_options(OptionList& options, TrainConfig& config, bool for_plan);

// The effective config as it is saved, keys in the order of the declaration.
nlohmann::ordered_json to_json(const TrainConfig& config);

// A default --max-sequence-length that the model can't address is lowered to what it can, and the log says so.
void limit_default_length(TrainConfig& config, std::int64_t model_positions, const OptionList& options);

// Goes on from a run that was started with `saved`: values that were `auto` keep what they were resolved to. A
// difference that would change the run is a ConfigError that names option, old and new value; one that may change is
// logged. `options`: which ones were given this time.
void adopt_saved_config(TrainConfig& config, const nlohmann::ordered_json& saved, const OptionList& options);

}  // namespace nkat::train
