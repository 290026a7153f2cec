// Checkpoints of a run: a folder checkpoints/step-000050 that is there whole or not at all, and says so itself.
//
//   adapter_model.safetensors, adapter_config.json        the adapter after `step` updates (models/adapter.h)
//   trainer_state.safetensors, trainer_state.json         data/run/trainer_state.h
//   manifest.json                                         data/run/checkpoint_files.h; written last
//
// Written to a temporary name, each file fsynced, then renamed: after a power cut there is the old state or the new
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/run/checkpoint_files.h"
#include "models/adapter.h"
#include "train/optimizer.h"
#include "train/run/metrics.h"

namespace nkat::train {

// Everything that the next step depends on; what can be derived from the metrics is not repeated here.
struct TrainerState {
  std::int64_t step = 0;  // finished ones
  models::Adapter adapter;
  OptimizerState optimizer;
  // The line of `step` when a signal came before its validation ended; it is completed on resume.
  std::optional<StepMetrics> pending;
};

struct RunIdentity {
  models::BaseFingerprint base;
  std::string data_sha256;
  std::uint64_t seed = 0;
  std::int64_t window_samples = 0;
};

// Publishes the checkpoint of state.step. `history`: the metrics of steps 1..state.step (the pending one may be
// absent).
void save_checkpoint(const fs::path& checkpoints, const TrainerState& state, const std::vector<StepMetrics>& history,
                     const models::Phi3Config& config, const RunIdentity& identity);

struct LoadedCheckpoint {
  fs::path path;
  TrainerState state;
  RunIdentity identity;
};
// Verifies the manifest, then loads; throws FormatError or DataError naming the file that is damaged.
LoadedCheckpoint load_checkpoint(const fs::path& path, const models::Phi3Config& config);

// The newest checkpoint that verifies; damaged ones are named in the log and passed over. Nothing if there is none at
// all; DataError if there are some and all are damaged.
std::optional<LoadedCheckpoint> load_newest_checkpoint(const fs::path& checkpoints, const models::Phi3Config& config);

// Of the checkpoints up to `newest_step` removes all but the newest `keep` and step 0; keep 0 removes nothing.
void remove_old_checkpoints(const fs::path& checkpoints, std::int64_t newest_step, std::int64_t keep);

// Renames the checkpoints after `step` to damaged-step-N: the run goes on from `step`, and they are not part of it.
void set_aside_later_checkpoints(const fs::path& checkpoints, std::int64_t step);

// Puts the adapter's two files into `folder`, atomically exchanged with what is there.
void publish_adapter(const fs::path& folder, const models::Adapter& adapter, const models::Phi3Config& config,
                     const models::BaseFingerprint& base);

}  // namespace nkat::train
