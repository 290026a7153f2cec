#include "data/run/adapter_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "data/run/checkpoint_files.h"

namespace nkat::data {
namespace {

constexpr const char* kPeftType = "NKAT_SO8T";
constexpr const char* kNormsKey = "base_norms_sha256";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::uint64_t kLargestConfig = 1 << 20;
constexpr std::int64_t kLargestHidden = 1 << 20;
constexpr std::int64_t kMostLayers = 512;

class Reader {
 public:
  explicit Reader(fs::path path)
      : path_(std::move(path)), json_(parse_json(read_file(path_, kLargestConfig), path_.string())) {}

  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }

  std::int64_t integer(const char* key, std::int64_t least, std::int64_t most) const {
    const bool whole = has(key) && json_[key].is_number_integer();
    const std::int64_t value = whole ? json_[key].get<std::int64_t>() : 0;
    if (whole && value >= least && value <= most) return value;
    refuse(key, fmt::format("a whole number from {} to {}", least, most));
  }

  std::string text(const char* key) const {
    if (!has(key) || !json_[key].is_string()) refuse(key, "a text");
    return json_[key].get<std::string>();
  }

  void require_type() const {
    if (has("peft_type") && json_["peft_type"] == kPeftType) return;
    throw FormatError(fmt::format("{}: peft_type {} was expected, found {}; this is no NKAT-SO8T adapter",
                                  path_.string(), kPeftType, found("peft_type")));
  }

  [[noreturn]] void refuse(const char* key, const std::string& required) const {
    throw FormatError(
        fmt::format("{}: key '{}': {} was expected, found {}", path_.string(), key, required, found(key)));
  }

 private:
  std::string found(const char* key) const { return has(key) ? json_[key].dump().substr(0, 80) : "nothing"; }

  fs::path path_;
  nlohmann::ordered_json json_;
};

}  // namespace

AdapterConfig read_adapter_config(const fs::path& folder) {
  const Reader reader(folder / kAdapterConfigFile);
  reader.require_type();
  reader.integer("version", kFormatVersion, kFormatVersion);
  AdapterConfig config;
  config.hidden_size = reader.integer("hidden_size", 8, kLargestHidden);
  if (config.hidden_size % 8 != 0) reader.refuse("hidden_size", "a multiple of 8");
  config.num_hidden_layers = reader.integer("num_hidden_layers", 1, kMostLayers);
  config.first_adapter_layer = reader.integer("first_adapter_layer", 0, config.num_hidden_layers - 1);
  config.identity.base_model_name_or_path = reader.text("base_model_name_or_path");
  config.identity.base_sha256 = reader.text("base_sha256");
  if (reader.has(kNormsKey)) config.identity.base_norms_sha256 = reader.text(kNormsKey);
  return config;
}

std::string adapter_config_text(const AdapterConfig& config) {
  nlohmann::ordered_json json = {{"peft_type", kPeftType},
                                 {"version", kFormatVersion},
                                 {"base_model_name_or_path", config.identity.base_model_name_or_path},
                                 {"hidden_size", config.hidden_size},
                                 {"num_hidden_layers", config.num_hidden_layers},
                                 {"first_adapter_layer", config.first_adapter_layer},
                                 {"base_sha256", config.identity.base_sha256}};
  if (!config.identity.base_norms_sha256.empty()) json[kNormsKey] = config.identity.base_norms_sha256;
  return json.dump(2) + "\n";
}

}  // namespace nkat::data
