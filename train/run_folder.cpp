#include "train/run_folder.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/progress.h"

namespace nkat::train {
namespace {

constexpr std::uint64_t kConfigLimit = 16 << 20;

}  // namespace

RunFolder::RunFolder(const fs::path& path) : path_(path) {
  create_folders(path_);
  lock_ = std::make_unique<FolderLock>(path_);
  create_folders(checkpoints());
  remove_stale_temporaries(path_);
  remove_stale_temporaries(checkpoints());
}

std::optional<nlohmann::ordered_json> RunFolder::saved_config() const {
  const fs::path file = path_ / "config.json";
  if (!fs::exists(file)) return std::nullopt;
  auto json = parse_json(read_file(file, kConfigLimit), file.string());
  if (!json.is_object())
    throw FormatError(fmt::format("{}: a JSON object was expected; use another --output-dir", file.string()));
  return json;
}

void RunFolder::save_config(const TrainConfig& config, const MemoryChoices& choices,
                            const std::vector<std::string>& memory_events) const {
  nlohmann::ordered_json json = to_json(config);
  json["memory"] = {{"requested_checkpointing", config.requested_checkpointing},
                    {"recomputed_layers", choices.recomputed_layers},
                    {"micro_batch_samples", choices.micro_batch_samples},
                    {"head_rows", choices.head_rows},
                    {"events", memory_events}};
  write_file_durably(path_ / "config.json", json.dump(2) + "\n");
}

void RunFolder::require_free_space(std::uint64_t bytes) const {
  const std::uint64_t available = free_disk_space(path_);
  if (available >= bytes) return;
  throw DeviceError(fmt::format(
      "{}: {} of free disk space are needed for three checkpoints, found {}; free some or choose another --output-dir",
      path_.string(), format_bytes(static_cast<double>(bytes)), format_bytes(static_cast<double>(available))));
}

}  // namespace nkat::train
