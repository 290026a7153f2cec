#include "data/run/adapter_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/json_object.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kTypeKey = "peft_type", *kAdapterVersionKey = "version", *kNameKey = "base_model_name_or_path",
                     *kHiddenKey = "hidden_size", *kLayersKey = "num_hidden_layers", *kFirstKey = "first_adapter_layer",
                     *kBaseKey = "base_sha256", *kNormsKey = "base_norms_sha256";
constexpr std::uint64_t kAdapterConfigLimit = 1 << 20;
constexpr std::int64_t kHiddenLimit = 1 << 20;
constexpr std::int64_t kLayerLimit = 512;

}  // namespace

AdapterConfig read_adapter_config(const fs::path& folder) {
  const fs::path path = folder / kAdapterConfigFile;
  const Json json = parse_json(read_file(path, kAdapterConfigLimit), path.string());
  const JsonObject object(json, path.string());
  if (object.optional_string(kTypeKey) != kPeftType) {
    object.fail(
        kTypeKey, kPeftType,
        "this is no NKAT-SO8T adapter; one of peft is merged into its base with merge_and_unload(), and the result "
        "given as --model-path");
  }
  object.require_version(kAdapterVersionKey, kAdapterFormatVersion);
  AdapterConfig config;
  config.hidden_size = object.integer(kHiddenKey, 8, kHiddenLimit);
  if (config.hidden_size % 8 != 0) object.fail(kHiddenKey, "a multiple of 8");
  config.num_hidden_layers = object.integer(kLayersKey, 1, kLayerLimit);
  config.first_adapter_layer = object.integer(kFirstKey, 0, config.num_hidden_layers - 1);
  config.base = {.base_model_name_or_path = object.string(kNameKey),
                 .base_sha256 = object.string(kBaseKey),
                 .base_norms_sha256 = object.optional_string(kNormsKey).value_or("")};
  return config;
}

std::string adapter_config_text(const AdapterConfig& config) {
  Json json = {{kTypeKey, kPeftType},
               {kAdapterVersionKey, kAdapterFormatVersion},
               {kNameKey, config.base.base_model_name_or_path},
               {kHiddenKey, config.hidden_size},
               {kLayersKey, config.num_hidden_layers},
               {kFirstKey, config.first_adapter_layer},
               {kBaseKey, config.base.base_sha256}};
  if (!config.base.base_norms_sha256.empty()) json[kNormsKey] = config.base.base_norms_sha256;
  return json.dump(2) + "\n";
}

}  // namespace nkat::data
