// What a start goes on from: the run in the output folder, or a fresh state; checked against this start's options, data
// and model, and the same on all ranks. Functions that take a ProcessGroup are called by all ranks.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/cli/options.h"
#include "train/distributed/process_group.h"
#include "train/run/checkpoint.h"
#include "train/run/run_folder.h"
#include "train/train_config.h"
#include "train/trainer_state.h"

namespace nkat::train {

struct RunStart {
  TrainerState state = {};
  std::optional<RunIdentity> identity = std::nullopt;  // of the checkpoint that the state comes from
  std::int64_t saved_step() const { return identity ? state.step : -1; }
};

// The state to start from, and `config` with what the saved run has resolved. folder: nullptr on all ranks but 0, which
// get the settings, and the rest by broadcast_state(). ConfigError for options that may not change, for --resume never
// and for an adapter that does not fit the model; errors of RunFolder and load_newest_checkpoint().
RunStart find_start(const RunFolder* folder, ProcessGroup& group, TrainConfig& config, const OptionList& options,
                    const models::ModelConfig& model);

// Losses on other validation data can't be compared: from here on the best adapter is that of the data in use.
// sha256: of the validation data; empty without any, which changes nothing.
void adopt_validation_data(RunStart& start, const std::string& sha256);

// DataError when the checkpoint was trained on other data, another base or with another seed or batch.
void require_same_run(const RunStart& start, const RunIdentity& now, const std::string& output_dir);

// RankMismatch, on all ranks, that says which rank differs in what: version, options, hashes of data and model. Paths,
// device and memory may differ. validation_sha256: empty without validation data.
void require_same_on_all_ranks(ProcessGroup& group, const TrainConfig& config, const RunIdentity& identity,
                               const std::string& validation_sha256);

// Rank 0's step, tensors and pending metrics, on each rank; the settings stay. The group is open.
void broadcast_state(ProcessGroup& group, TrainerState& state);

}  // namespace nkat::train
