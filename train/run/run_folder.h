// The folder of a run (--output-dir): where its files are, its effective config, and the lock that keeps a second
// process out.
#pragma once

#include <memory>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "core/files/file.h"
#include "data/run/run_layout.h"
#include "train/train_config.h"
#include "train/trainer_state.h"

namespace nkat::train {

class RunFolder {
 public:
  // Creates and locks the folder and removes what a killed process left behind. DeviceError if another process uses it.
  explicit RunFolder(const fs::path& path);
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  // Removes what this process has created if it ends before the first checkpoint.
  ~RunFolder();

  fs::path config_file() const { return path_ / data::kRunConfigFile; }
  fs::path checkpoints() const { return path_ / data::kCheckpointsFolder; }
  fs::path metrics() const { return path_ / data::kMetricsFile; }
  fs::path newest_adapter() const { return path_ / data::kNewestAdapterFolder; }
  fs::path best_adapter() const { return path_ / data::kBestAdapterFolder; }
  fs::path summary() const { return path_ / data::kSummaryFile; }
  fs::path plot() const { return path_ / data::kTrainingPlotFile; }
  fs::path samples() const { return path_ / data::kSamplesFile; }
  fs::path tensorboard() const { return path_ / data::kTensorboardFolder; }

  // config.json of the run in the folder; nothing if this is a new run. ConfigError for a config.json that no run has
  // written (a model's, say), so that it is not overwritten; DataError for a run that lacks config.json or checkpoints.
  std::optional<nlohmann::ordered_json> saved_config() const;
  // Writes config.json: the options with every `auto` resolved, and the settings.
  void save_config(const TrainConfig& config, const data::RunFacts& settings) const;

  // DeviceError when fewer than `bytes` are free.
  void require_free_space(std::uint64_t bytes) const;

 private:
  fs::path path_;
  bool created_ = false;  // by this process, and so may its checkpoints/ be
  bool created_checkpoints_ = false;
  mutable bool wrote_config_ = false;
  std::unique_ptr<FolderLock> lock_;
};

}  // namespace nkat::train
