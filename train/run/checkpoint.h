// Checkpoints of a run: folders checkpoints/step-000050, each complete or absent.
//
//   adapter_model.safetensors, adapter_config.json   the adapter after `step` updates (models/adapter.h)
//   trainer_state.safetensors, trainer_state.json    data/run/checkpoint_files.h
//   manifest.json                                    data/run/checkpoint_files.h; written last
//
// Written under a temporary name, each file synced, then renamed: a power cut leaves the old state or the new one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/run/run_layout.h"
#include "models/adapter.h"
#include "train/trainer_state.h"

namespace nkat::train {

// What a run is bound to: a checkpoint is resumed with the same data, base, seed and batch alone.
struct RunIdentity {
  models::BaseFingerprint base = {};
  std::string data_sha256 = "";
  std::uint64_t seed = 0;
  std::int64_t batch_samples = 0;  // of a global batch; 0: not known
};

// Publishes the checkpoint of state.step. history: the metrics of the steps 1..state.step, without a pending one.
void save_checkpoint(const fs::path& checkpoints, const TrainerState& state, const std::vector<StepMetrics>& history,
                     const models::ModelConfig& config, const RunIdentity& identity);

struct LoadedCheckpoint {
  fs::path path;
  TrainerState state;
  RunIdentity identity;
};
// Verifies the manifest, then loads. FormatError or DataError names the file that is damaged; ShapeError: the adapter
// belongs to another model; NewerFormatError: a newer nkat wrote it. The state's settings keep their defaults.
LoadedCheckpoint load_checkpoint(const fs::path& path, const models::ModelConfig& config);

// The newest checkpoint that verifies; damaged ones are named in the log and passed over. Nothing without checkpoints;
// DataError if all are damaged. One of another model or of a newer nkat is not passed over: its error leaves from here.
std::optional<LoadedCheckpoint> load_newest_checkpoint(const fs::path& checkpoints, const models::ModelConfig& config);

// Removes the checkpoints up to `newest_step` but the newest `keep` and step 0; keep 0 removes nothing.
void remove_old_checkpoints(const fs::path& checkpoints, std::int64_t newest_step, std::int64_t keep);

// Renames the checkpoints after `step` to damaged-step-N: a run that resumes from `step` writes its own.
void set_aside_later_checkpoints(const fs::path& checkpoints, std::int64_t step);

// Writes the adapter's two files as `folder`, which is replaced atomically.
void publish_adapter(const fs::path& folder, const models::Adapter& adapter, const models::ModelConfig& config,
                     const models::BaseFingerprint& base);

}  // namespace nkat::train
