#include "train/run/run_folder.h"

#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"

namespace nkat::train {
namespace {

constexpr std::uint64_t kConfigLimit = 16 << 20;
constexpr const char* kRunKey = "nkat_run";
constexpr int kRunVersion = 1;

bool has_checkpoint(const fs::path& checkpoints) {
  const auto is_step = [](const fs::directory_entry& entry) {
    return entry.path().filename().string().starts_with("step-");
  };
  return std::any_of(fs::directory_iterator(checkpoints), fs::directory_iterator(), is_step);
}

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
  if (wrote_config_) fs::remove(path_ / "config.json", ignored);
  // Still locked: a process that has opened the file meanwhile is refused, one that comes later makes a new file.
  fs::remove(path_ / ".lock", ignored);
  if (created_) fs::remove(path_, ignored);
}

std::optional<nlohmann::ordered_json> RunFolder::saved_config() const {
  const fs::path file = path_ / "config.json";
  const bool has_checkpoints = has_checkpoint(checkpoints());
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
  if (!json.is_object() || !json.contains(kRunKey) || json[kRunKey] != kRunVersion) {
    const auto found = json.is_object() ? json.find(kRunKey) : json.end();
    throw ConfigError(fmt::format("{}: key '{}': {}", file.string(), kRunKey,
                                  expected(std::to_string(kRunVersion), shown(found == json.end() ? nullptr : &*found),
                                           "this file was not written by a run, use another --output-dir")));
  }
  // Without a checkpoint there is nothing to resume.
  if (!has_checkpoints) return std::nullopt;
  return json;
}

void RunFolder::save_config(const TrainConfig& config, const RunSettings& settings) const {
  nlohmann::ordered_json json = {{kRunKey, kRunVersion}};
  json.update(to_json(config));
  json["memory"] = {{"requested_checkpointing", settings.requested_checkpointing},
                    {"recomputed_layers", settings.memory.recomputed_layers},
                    {"micro_batch_samples", settings.memory.micro_batch_samples},
                    {"head_rows", settings.memory.head_rows},
                    {"events", settings.memory_events}};
  json["ranks"] = settings.ranks;
  json["validation"] = {{"sha256", settings.validation_sha256}, {"since_step", settings.validation_since}};
  write_file_atomically(path_ / "config.json", json.dump(2) + "\n");
  wrote_config_ = true;
}

RunSettings read_run_settings(const nlohmann::ordered_json& config, const std::string& where) {
  RunSettings settings;
  const JsonObject json(config, where);
  if (json.has("memory")) {
    const JsonObject memory = json.object("memory");
    settings.requested_checkpointing =
        memory.optional_string("requested_checkpointing").value_or(settings.requested_checkpointing);
    settings.memory.micro_batch_samples = memory.optional_integer("micro_batch_samples").value_or(JsonObject::kLargest);
    settings.memory.head_rows = memory.optional_integer("head_rows").value_or(settings.memory.head_rows);
    if (memory.has("events")) {
      for (const auto& event : memory.list("events")) {
        if (!event.is_string()) memory.fail("events", "a list of strings");
        settings.memory_events.push_back(event.get<std::string>());
      }
    }
  }
  settings.ranks = json.optional_integer("ranks", 1).value_or(1);
  if (json.has("validation")) {
    const JsonObject validation = json.object("validation");
    settings.validation_sha256 = validation.optional_string("sha256").value_or("");
    settings.validation_since = validation.optional_integer("since_step").value_or(0);
  }
  return settings;
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
