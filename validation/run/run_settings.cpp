#include "validation/run/run_settings.h"

#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"

namespace nkat::validation {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::uint64_t kLargestConfig = 16 << 20;
constexpr const char* kRunKey = "nkat_run";

// One config.json; each read leaves its target as it is where the key is missing.
class Config {
 public:
  Config(const Json& json, const fs::path& path) : json_(json), path_(path) {}

  void read(const char* key, std::optional<std::int64_t>& target) const {
    if (const Json* value = find(key, &Json::is_number_integer, "a whole number")) target = value->get<std::int64_t>();
  }
  void read(const char* key, std::optional<double>& target) const {
    if (const Json* value = find(key, &Json::is_number, "a number")) target = value->get<double>();
  }
  void read(const char* key, std::string& target) const {
    if (const Json* value = find(key, &Json::is_string, "a text")) target = value->get<std::string>();
  }

 private:
  using Test = bool (Json::*)() const noexcept;
  const Json* find(const char* key, Test is_right, const char* expected) const {
    const auto entry = json_.find(key);
    if (entry == json_.end()) return nullptr;
    if (!((*entry).*is_right)())
      throw FormatError(
          fmt::format("{}: key '{}': {} was expected, found {}", path_.string(), key, expected, entry->type_name()));
    return &*entry;
  }

  const Json& json_;
  const fs::path& path_;
};

}  // namespace

ReadSettings read_run_settings(const fs::path& path) {
  ReadSettings read;
  const Json json = parse_json(read_file(path, kLargestConfig), path.string());
  if (!json.is_object() || !json.contains(kRunKey)) {
    log::warning(fmt::format("{}: not written by a run (no key '{}'); ignored", path.string(), kRunKey));
    return read;
  }
  const Config config(json, path);
  config.read("max_steps", read.settings.max_steps);
  config.read("warmup_steps", read.settings.warmup_steps);
  config.read("annealing_warmup", read.settings.annealing_warmup);
  config.read("seed", read.settings.seed);
  config.read("alpha_init", read.settings.alpha_init);
  config.read("vram_budget_gib", read.settings.vram_budget_gib);
  config.read("control", read.settings.control);
  config.read("device", read.settings.device);
  config.read("model_path", read.settings.model_path);
  config.read("first_adapter_layer", read.first_layer);
  if (const auto validation = json.find("validation"); validation != json.end() && validation->is_object()) {
    std::optional<std::int64_t> since;
    Config(*validation, path).read("since_step", since);
    read.settings.validation_since = since.value_or(0);
  }
  return read;
}

}  // namespace nkat::validation
