// The names of everything that a run leaves on disk, for the trainer that writes it and for whatever reads it.
//
//   RUN/config.json                  the effective options and what the run found out by itself (run_config.h)
//   RUN/metrics.jsonl                one line per optimizer step (step_metrics.h)
//   RUN/summary.json, training.png   derived from the metrics
//   RUN/samples.jsonl, tensorboard   where asked for: answers during training, the metrics as event files
//   RUN/adapter, adapter-best        the newest adapter and the one of the lowest validation loss (adapter_config.h)
//   RUN/checkpoints/step-000050      the state after 50 steps (checkpoint_files.h)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/file.h"

namespace nkat::data {

inline constexpr const char* kRunConfigFile = "config.json";
inline constexpr const char* kMetricsFile = "metrics.jsonl";
inline constexpr const char* kSummaryFile = "summary.json";
inline constexpr const char* kTrainingPlotFile = "training.png";
inline constexpr const char* kSamplesFile = "samples.jsonl";
inline constexpr const char* kTensorboardFolder = "tensorboard";
inline constexpr const char* kNewestAdapterFolder = "adapter";
inline constexpr const char* kBestAdapterFolder = "adapter-best";
inline constexpr const char* kCheckpointsFolder = "checkpoints";
inline constexpr std::array<std::string_view, 10> kRunEntries = {
    kRunConfigFile,     kMetricsFile,         kSummaryFile,       kTrainingPlotFile,  kSamplesFile,
    kTensorboardFolder, kNewestAdapterFolder, kBestAdapterFolder, kCheckpointsFolder, kFolderLockFile};

// An adapter folder has the first two, a checkpoint all of them.
inline constexpr const char* kAdapterModelFile = "adapter_model.safetensors";
inline constexpr const char* kAdapterConfigFile = "adapter_config.json";
inline constexpr const char* kStateTensors = "trainer_state.safetensors";
inline constexpr const char* kStateJson = "trainer_state.json";
inline constexpr const char* kManifest = "manifest.json";

std::string step_folder_name(std::int64_t step);  // "step-000050"
// The inverse; nothing for a name that step_folder_name() doesn't make.
std::optional<std::int64_t> step_of_folder(std::string_view name);

fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step);  // checkpoints/step-000050
// The steps of all step folders in `checkpoints`, ascending; none if there is no such folder.
std::vector<std::int64_t> saved_steps(const fs::path& checkpoints);

}  // namespace nkat::data
