#include "train/run/run_folder.h"

#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"
#include "data/run/run_config.h"

namespace nkat::train {
namespace {

constexpr std::uint64_t kConfigLimit = 16 << 20;

}  // namespace

RunFolder::RunFolder(const fs::path& path) : path_(path), created_(!fs::exists(path)) {
  create_folders(path_);
  lock_ = std::make_unique<FolderLock>(path_);
  created_checkpoints_ = !fs::exists(checkpoints());
  create_folders(checkpoints());
  remove_stale_temporaries(path_);
  remove_stale_temporaries(checkpoints());
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (!created_checkpoints_ || !fs::remove(checkpoints(), ignored)) return;  // it is removed only if it is empty
  if (wrote_config_) fs::remove(config_file(), ignored);
  // Still locked: a process that has opened the file meanwhile is refused, one that comes later makes a new file.
  fs::remove(path_ / kFolderLockFile, ignored);
  if (created_) fs::remove(path_, ignored);
}

std::optional<nlohmann::ordered_json> RunFolder::saved_config() const {
  const fs::path file = config_file();
  const bool has_checkpoints = !data::saved_steps(checkpoints()).empty();
  const bool has_metrics = fs::exists(metrics()) && fs::file_size(metrics()) > 0;
  if (has_metrics && !has_checkpoints) {
    throw DataError(fmt::format("{}: a run's metrics.jsonl but no checkpoint; restore them or use another --output-dir",
                                path_.string()));
  }
  if (!fs::exists(file)) {
    if (!has_checkpoints) return std::nullopt;
    throw DataError(fmt::format("{}: a run's checkpoints but no config.json; restore it or use another --output-dir",
                                path_.string()));
  }
  auto json = parse_json(read_file(file, kConfigLimit), file.string());
  if (data::run_version(json) != data::kRunVersion) {
    const bool found = json.is_object() && json.contains(data::kRunKey);
    throw ConfigError(
        fmt::format("{}: key '{}': {}", file.string(), data::kRunKey,
                    expected(std::to_string(data::kRunVersion), shown(found ? &json[data::kRunKey] : nullptr),
                             "this file was not written by a run, use another --output-dir")));
  }
  // Without a checkpoint there is nothing to resume.
  if (!has_checkpoints) return std::nullopt;
  return json;
}

void RunFolder::save_config(const TrainConfig& config, const data::RunFacts& settings) const {
  write_file_atomically(config_file(), data::run_config_text(to_json(config), settings));
  wrote_config_ = true;
}

void RunFolder::require_free_space(std::uint64_t bytes) const {
  const std::uint64_t available = free_disk_space(path_);
  if (available >= bytes) return;
  throw DeviceError(
      fmt::format("{}: {}", path_.string(),
                  expected(format_bytes(static_cast<double>(bytes)) + " of free disk space for three checkpoints",
                           format_bytes(static_cast<double>(available)), "free some or choose another --output-dir")));
}

}  // namespace nkat::train
