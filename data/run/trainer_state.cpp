#include "data/run/trainer_state.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/json_object.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kFormatVersion = 1;
constexpr std::uint64_t kFileLimit = 16 << 20;
constexpr const char *kVersion = "version", *kStep = "step", *kDataPosition = "data_position", *kUpdates = "updates",
                     *kSeed = "seed", *kDataHash = "data_sha256", *kBaseHash = "base_sha256", *kProgram = "program",
                     *kLibtorch = "libtorch", *kPending = "pending_metrics";

SavedTrainerState step_of(const JsonObject& object) {
  SavedTrainerState state;
  state.step = object.integer(kStep);
  if (const Json* pending = object.find(kPending)) state.pending_metrics = metrics_from_json(*pending, object.where());
  return state;
}

}  // namespace

std::string trainer_state_text(const SavedTrainerState& state) {
  Json json = {{kVersion, kFormatVersion},     {kStep, state.step},       {kDataPosition, state.data_position},
               {kUpdates, state.updates},      {kSeed, state.seed},       {kDataHash, state.data_sha256},
               {kBaseHash, state.base_sha256}, {kProgram, state.program}, {kLibtorch, state.libtorch}};
  if (state.pending_metrics) json[kPending] = to_json(*state.pending_metrics);
  return json.dump(2) + "\n";
}

SavedTrainerState read_trainer_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateJson;
  const Json json = parse_json(read_file(path, kFileLimit), path.string());
  const JsonObject object(json, path.string());
  if (object.integer(kVersion) != kFormatVersion)
    object.fail(kVersion, std::to_string(kFormatVersion), "use the release that wrote it");
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
  const Json json = parse_json(read_file(path, kFileLimit), path.string());
  return step_of(JsonObject(json, path.string()));
}

}  // namespace nkat::data
