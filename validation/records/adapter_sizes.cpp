#include "validation/records/adapter_sizes.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "data/checkpoint_folder.h"

namespace nkat::validation {
namespace {

constexpr std::uint64_t kLargestConfig = 1 << 20;
constexpr std::int64_t kFormatVersion = 1;
constexpr std::int64_t kLargestHidden = 1 << 20;
constexpr std::int64_t kMostLayers = 512;

struct Range {
  std::int64_t least;
  std::int64_t most;
};

std::int64_t integer(const nlohmann::ordered_json& json, const char* key, Range range, const fs::path& path) {
  const auto entry = json.find(key);
  const bool whole = entry != json.end() && entry->is_number_integer();
  const std::int64_t value = whole ? entry->get<std::int64_t>() : 0;
  if (whole && value >= range.least && value <= range.most) return value;
  throw FormatError(fmt::format("{}: key '{}': a whole number from {} to {} was expected, found {}", path.string(), key,
                                range.least, range.most,
                                entry == json.end() ? "nothing" : entry->dump().substr(0, 80)));
}

}  // namespace

AdapterSizes read_adapter_sizes(const fs::path& adapter_folder) {
  const fs::path path = adapter_folder / data::kAdapterConfigFile;
  const auto json = parse_json(read_file(path, kLargestConfig), path.string());
  if (!json.is_object() || !json.contains("peft_type") || json["peft_type"] != "NKAT_SO8T")
    throw FormatError(fmt::format("{}: peft_type NKAT_SO8T was expected; this is no NKAT-SO8T adapter", path.string()));
  integer(json, "version", {kFormatVersion, kFormatVersion}, path);
  const std::int64_t hidden = integer(json, "hidden_size", {8, kLargestHidden}, path);
  if (hidden % 8 != 0)
    throw FormatError(fmt::format("{}: hidden_size must be a multiple of 8, found {}", path.string(), hidden));
  const std::int64_t layers = integer(json, "num_hidden_layers", {1, kMostLayers}, path);
  return {.blocks = hidden / 8,
          .first_layer = integer(json, "first_adapter_layer", {0, layers - 1}, path),
          .last_layer = layers - 1};
}

}  // namespace nkat::validation
