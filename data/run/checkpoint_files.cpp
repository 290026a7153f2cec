#include "data/run/checkpoint_files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kManifestVersion = 1;
constexpr std::uint64_t kManifestLimit = 1 << 20;
constexpr std::uint64_t kFileLimit = 8ULL << 30;
constexpr const char *kVersionKey = "version", *kFilesKey = "files", *kSizeKey = "size", *kHashKey = "sha256";
constexpr std::int64_t kStateVersion = 1;
constexpr std::uint64_t kStateLimit = 16 << 20;
constexpr const char *kStep = "step", *kDataPosition = "data_position", *kUpdates = "updates", *kSeed = "seed",
                     *kDataHash = "data_sha256", *kBaseHash = "base_sha256", *kProgram = "program",
                     *kLibtorch = "libtorch", *kPending = "pending_metrics";

// Throws unless the file is as the manifest states.
void check_file(const fs::path& file, const JsonObject& stated) {
  const auto size = static_cast<std::uint64_t>(stated.integer(kSizeKey));
  const std::string sha256 = stated.string(kHashKey);
  const std::string bytes = read_file(file, kFileLimit);
  const auto require_same = [&](const std::string& wanted, const std::string& found) {
    if (wanted == found) return;
    throw FormatError(fmt::format("{}: {}", file.string(),
                                  expected(wanted + ", as in the manifest", found,
                                           "the file is damaged: restore it, or use another checkpoint")));
  };
  require_same(fmt::format("{} bytes", size), fmt::format("{} bytes", bytes.size()));
  require_same("SHA-256 " + sha256, "SHA-256 " + sha256_hex(bytes));
}

SavedTrainerState step_of(const JsonObject& object) {
  object.require_version(kVersionKey, kStateVersion);
  SavedTrainerState state;
  state.step = object.integer(kStep);
  if (const Json* pending = object.find(kPending)) state.pending_metrics = metrics_from_json(*pending, object.where());
  return state;
}

}  // namespace

std::string manifest_text(const std::map<std::string, std::string>& files) {
  Json manifest = {{kVersionKey, kManifestVersion}, {kFilesKey, Json::object()}};
  for (const auto& [name, bytes] : files)
    manifest[kFilesKey][name] = {{kSizeKey, bytes.size()}, {kHashKey, sha256_hex(bytes)}};
  return manifest.dump(2) + "\n";
}

void verify_manifest(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kManifest;
  const Json json = parse_json(read_file(path, kManifestLimit), path.string());
  const JsonObject manifest(json, path.string());
  manifest.require_version(kVersionKey, kManifestVersion);
  const JsonObject files = manifest.object(kFilesKey);
  for (const char* name : {kAdapterModelFile, kAdapterConfigFile, kStateTensors, kStateJson})
    check_file(checkpoint / name, files.object(name));
}

std::string trainer_state_text(const SavedTrainerState& state) {
  Json json = {{kVersionKey, kStateVersion},   {kStep, state.step},       {kDataPosition, state.data_position},
               {kUpdates, state.updates},      {kSeed, state.seed},       {kDataHash, state.data_sha256},
               {kBaseHash, state.base_sha256}, {kProgram, state.program}, {kLibtorch, state.libtorch}};
  if (state.pending_metrics) json[kPending] = to_json(*state.pending_metrics);
  return json.dump(2) + "\n";
}

SavedTrainerState read_trainer_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateJson;
  const Json json = parse_json(read_file(path, kStateLimit), path.string());
  const JsonObject object(json, path.string());
  SavedTrainerState state = step_of(object);
  state.data_position = object.integer(kDataPosition);
  state.updates = object.integer(kUpdates);
  state.seed = static_cast<std::uint64_t>(object.integer(kSeed));
  state.data_sha256 = object.string(kDataHash);
  state.base_sha256 = object.optional_string(kBaseHash).value_or("");
  state.program = object.optional_string(kProgram).value_or("");
  state.libtorch = object.optional_string(kLibtorch).value_or("");
  return state;
}

SavedTrainerState read_saved_step(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateJson;
  const Json json = parse_json(read_file(path, kStateLimit), path.string());
  return step_of(JsonObject(json, path.string()));
}

}  // namespace nkat::data
