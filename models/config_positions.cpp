#include "models/config_positions.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/json_object.h"
#include "core/message.h"

namespace nkat::models {
namespace {

using Json = ConfigReader::Json;
using layers::RopeScaling;

constexpr std::int64_t kLargestWindow = std::int64_t{1} << 40;
constexpr std::int64_t kUsualWindow = 4096;  // of transformers' classes where the key is absent
constexpr std::int64_t kUsualFirstWindowLayer = 28;
constexpr const char* kSliding = "sliding_attention";
constexpr const char* kWayOut =
    "up to the length that the model was trained at it works without: remove rope_scaling from a copy of config.json";

std::int64_t usual_positions(Family family) {
  switch (family) {
    case Family::kPhi3: return 4096;
    case Family::kLlama: return 2048;
    case Family::kMistral: return 131072;
    default: return 32768;
  }
}

void read_rotary_dim(const ConfigReader& reader, ModelConfig& config) {
  const double fraction = reader.positive("partial_rotary_factor", reader.anywhere("partial_rotary_factor"), 1.0);
  if (fraction > 1) reader.fail("partial_rotary_factor", "at most 1", fmt::format("{}", fraction));
  if (fraction < 1 && config.family != Family::kPhi3) {
    reader.fail("partial_rotary_factor", fmt::format("1 in a {} model", traits_of(config.family).title),
                fmt::format("{}", fraction));
  }
  config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * fraction);
  if (config.rotary_dim < 2 || config.rotary_dim % 2 != 0) {
    reader.refuse(fmt::format("head_dim ({}) times partial_rotary_factor ({}): {}", config.head_dim, fraction,
                              expected("an even number of channels, at least 2", std::to_string(config.rotary_dim))));
  }
}

std::vector<double> read_factors(const ConfigReader& reader, const std::string& key, std::int64_t rotary_dim) {
  const Json* list = reader.rope({key});
  const std::string wanted = fmt::format("a list of {} numbers above 0 (half the rotary dimension)", rotary_dim / 2);
  if (list == nullptr) reader.fail(key, wanted, "nothing");
  if (!list->is_array()) reader.fail(key, wanted, shown(list));
  if (static_cast<std::int64_t>(list->size()) != rotary_dim / 2) {
    reader.fail(key, wanted, fmt::format("{} of them", list->size()));
  }
  std::vector<double> factors;
  for (const Json& value : *list) {
    factors.push_back(reader.positive(fmt::format("{}[{}]", key, factors.size()), &value, 1.0));
  }
  return factors;
}

// As the file names it; "default" without an object or a name.
std::string read_rope_type(const ConfigReader& reader, Family family) {
  std::string type;
  for (const char* key : {"rope_type", "type"}) {
    std::string word = reader.word(key, reader.rope({key}));
    // As transformers reads them for Phi-3.
    if (family == Family::kPhi3 && (word == "su" || word == "yarn")) word = "longrope";
    if (word.empty()) continue;
    if (!type.empty() && type != word) reader.refuse(fmt::format("rope_type is \"{}\" but type is \"{}\"", type, word));
    type = word;
  }
  if (!type.empty()) return type;
  return reader.rope({"long_factor"}) || reader.rope({"short_factor"}) ? "longrope" : "default";
}

// transformers 4 computes attention_factor from the ratio of the lengths, transformers 5 from `factor`.
void check_longrope_factor(const ConfigReader& reader, double ratio) {
  const Json* given = reader.rope({"factor"});
  if (given == nullptr || reader.rope({"attention_factor"})) return;
  const double factor = reader.positive("factor", given, 1.0);
  if (std::abs(factor - ratio) <= 1e-6 * ratio) return;
  reader.refuse(fmt::format(
      "longrope's factor is {} but max_position_embeddings / original_max_position_embeddings is {}: versions of "
      "transformers take the one or the other; make them equal, or name attention_factor",
      factor, ratio));
}

void read_longrope(const ConfigReader& reader, ModelConfig& config) {
  const std::string key = "original_max_position_embeddings";
  const Json* original = reader.anywhere(key);
  if (original == nullptr) reader.refuse(fmt::format("key {} is missing; longrope needs it", key));
  config.original_max_position_embeddings = reader.integer(key, *original, 2, kLargestSize);
  if (config.original_max_position_embeddings > config.max_position_embeddings) {
    reader.fail(key, fmt::format("at most max_position_embeddings ({})", config.max_position_embeddings),
                std::to_string(config.original_max_position_embeddings));
  }
  config.short_factor = read_factors(reader, "short_factor", config.rotary_dim);
  config.long_factor = read_factors(reader, "long_factor", config.rotary_dim);
  const double scale = static_cast<double>(config.max_position_embeddings) /
                       static_cast<double>(config.original_max_position_embeddings);
  check_longrope_factor(reader, scale);
  const double usual =
      std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(config.original_max_position_embeddings)));
  config.attention_factor = reader.positive("attention_factor", reader.rope({"attention_factor"}), usual);
}

// A number above 0 that the scaling can't do without.
double scaling_number(const ConfigReader& reader, const std::string& key) {
  const Json* value = reader.rope({key});
  if (value == nullptr) reader.fail(key, "a number above 0", "nothing");
  return reader.positive(key, value, 1.0);
}

RopeScaling read_llama3(const ConfigReader& reader) {
  RopeScaling scaling{.kind = RopeScaling::Kind::kLlama3,
                      .factor = scaling_number(reader, "factor"),
                      .low_frequency = scaling_number(reader, "low_freq_factor"),
                      .high_frequency = scaling_number(reader, "high_freq_factor")};
  const std::string key = "original_max_position_embeddings";
  const Json* original = reader.rope({key});
  if (original == nullptr) reader.fail(key, "a number of tokens", "nothing");
  scaling.original_length = reader.integer(key, *original, 1, kLargestSize);
  if (scaling.high_frequency <= scaling.low_frequency) {
    reader.fail("high_freq_factor", fmt::format("more than low_freq_factor ({})", scaling.low_frequency),
                fmt::format("{}", scaling.high_frequency));
  }
  return scaling;
}

// A factor without a type is no scaling, and with "default" it does nothing in transformers.
void check_unscaled(const ConfigReader& reader) {
  const Json* factor = reader.rope({"factor"});
  if (factor == nullptr || *factor == 1) return;
  const std::string wanted = "its rope_type beside it (\"linear\", \"llama3\", ..)";
  if (reader.rope({"rope_type", "type"}) == nullptr) reader.fail("factor", wanted, shown(factor) + " alone");
  log::warning(
      fmt::format("config.json: rope_type is \"default\": factor {} has no effect, as in transformers", shown(factor)));
}

void read_scaling(const ConfigReader& reader, ModelConfig& config) {
  const std::string type = read_rope_type(reader, config.family);
  if (type == "default") return check_unscaled(reader);
  if (config.family == Family::kPhi3) {
    if (type == "longrope") return read_longrope(reader, config);
    reader.fail("rope_type", "\"longrope\" (or \"su\", \"yarn\") or \"default\"", '"' + type + '"');
  }
  if (type == "linear") {
    config.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = scaling_number(reader, "factor")};
  } else if (type == "llama3") {
    config.rope_scaling = read_llama3(reader);
  } else {
    reader.fail("rope_type", "\"default\", \"linear\" or \"llama3\"", fmt::format("\"{}\"; {}", type, kWayOut));
  }
}

std::optional<std::int64_t> window_of(const ConfigReader& reader) {
  const Json* window = reader.top({"sliding_window"});
  if (window == nullptr) return std::nullopt;
  return reader.integer("sliding_window", *window, 1, kLargestWindow);
}

// How many layers layer_types gives a window; nothing if the key is absent.
std::optional<std::int64_t> listed_windows(const ConfigReader& reader, const ModelConfig& config) {
  const Json* types = reader.top({"layer_types"});
  if (types == nullptr) return std::nullopt;
  const std::string wanted =
      fmt::format("a list of {} times \"full_attention\" or \"{}\"", config.num_layers, kSliding);
  if (!types->is_array() || static_cast<std::int64_t>(types->size()) != config.num_layers) {
    reader.fail("layer_types", wanted, shown(types));
  }
  std::int64_t count = 0;
  for (const Json& type : *types) {
    if (type != kSliding && type != "full_attention") reader.fail("layer_types", wanted, shown(&type));
    count += type == kSliding ? 1 : 0;
  }
  return count;
}

void refuse_mixed_windows(const ConfigReader& reader, const std::string& key, std::int64_t windows,
                          const ModelConfig& config) {
  reader.fail(key, "a window in all layers or in none",
              fmt::format("one in {} of {}; models that mix them are not supported, their GGUF runs in llama.cpp",
                          windows, config.num_layers));
}

// Qwen: a window from layer max_window_layers on, or where layer_types says so.
void read_qwen_window(const ConfigReader& reader, ModelConfig& config) {
  if (!reader.flag("use_sliding_window", false)) return;
  const std::optional<std::int64_t> window =
      reader.names("sliding_window") ? window_of(reader) : std::optional(kUsualWindow);
  if (!window) return;
  const Json* first = reader.top({"max_window_layers"});
  const std::int64_t full =
      first ? reader.integer("max_window_layers", *first, 0, kLargestSize) : kUsualFirstWindowLayer;
  const std::optional<std::int64_t> listed = listed_windows(reader, config);
  const std::int64_t windows = listed.value_or(std::max<std::int64_t>(0, config.num_layers - full));
  if (windows != 0 && windows != config.num_layers) {
    refuse_mixed_windows(reader, listed ? "layer_types" : "max_window_layers", windows, config);
  }
  if (windows > 0) config.sliding_window = window;
}

void read_window(const ConfigReader& reader, ModelConfig& config) {
  if (config.family == Family::kQwen2 || config.family == Family::kQwen3) return read_qwen_window(reader, config);
  const std::optional<std::int64_t> listed = listed_windows(reader, config);
  if (config.family == Family::kPhi3 || config.family == Family::kMistral) config.sliding_window = window_of(reader);
  if (config.family == Family::kMistral && !reader.names("sliding_window")) config.sliding_window = kUsualWindow;
  const std::int64_t windows = config.sliding_window ? config.num_layers : 0;
  if (listed && *listed != windows) refuse_mixed_windows(reader, "layer_types", *listed, config);
}

}  // namespace

void read_positions(const ConfigReader& reader, ModelConfig& config) {
  read_rotary_dim(reader, config);
  config.rope_theta = reader.positive("rope_theta", reader.anywhere("rope_theta"), 10000.0);
  config.max_position_embeddings = reader.size("max_position_embeddings", usual_positions(config.family));
  config.original_max_position_embeddings = config.max_position_embeddings;
  read_window(reader, config);
  if (reader.has_rope_object()) read_scaling(reader, config);
}

}  // namespace nkat::models
