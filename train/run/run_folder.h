// The folder of a run (--output-dir): what lies where in it, its effective config, and the lock that keeps a second
// process out.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/files/file.h"
#include "data/run/run_layout.h"
#include "train/micro_batch.h"
#include "train/train_config.h"

namespace nkat::train {

class RunFolder {
 public:
  // Creates and locks the folder and clears what a killed process left behind. DeviceError if it is in use.
  explicit RunFolder(const fs::path& path);
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  // A start that failed before its first checkpoint leaves nothing of its own behind.
  ~RunFolder();

  fs::path config_file() const { return path_ / data::kRunConfigFile; }
  fs::path checkpoints() const { return path_ / data::kCheckpointsFolder; }
  fs::path metrics() const { return path_ / data::kMetricsFile; }
  fs::path newest_adapter() const { return path_ / data::kNewestAdapterFolder; }
  fs::path best_adapter() const { return path_ / data::kBestAdapterFolder; }
  fs::path summary() const { return path_ / data::kSummaryFile; }
  fs::path plot() const { return path_ / data::kTrainingPlotFile; }

  // The config that the run was started with; nothing if this is a new run. A config.json that is no run's (a model's,
  // say) is a ConfigError, so that nothing of it is overwritten; files of a run without config.json, or without
  // checkpoints, a DataError.
  std::optional<nlohmann::ordered_json> saved_config() const;
  // Writes config.json: the options with every `auto` resolved, and how memory is spent by now.
  void save_config(const TrainConfig& config, const ResumeRecord& record, const MemorySettings& choices,
                   const std::vector<std::string>& memory_events) const;

  // Refuses to go on when fewer than `bytes` are free (DeviceError).
  void require_free_space(std::uint64_t bytes) const;

 private:
  fs::path path_;
  bool created_ = false;  // by this process, and so may its checkpoints/ be
  bool created_checkpoints_ = false;
  mutable bool wrote_config_ = false;
  std::unique_ptr<FolderLock> lock_;
};

}  // namespace nkat::train
