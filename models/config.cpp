#include "models/config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/file.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"
#include "data/run/given_folder.h"

namespace nkat::models {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLargestFile = 16u << 20;
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

std::string shown(const Json& value) { return nkat::shown(&value); }

// Typed, range-checked access to the keys of one file, at the top level and inside its rope objects.
class Reader {
 public:
  Reader(std::string file, const Json& root) : file_(std::move(file)) {
    if (!root.is_object()) fail("", "a JSON object", shown(root));
    top_ = {{"", &root}};
    for (const char* key : {"rope_parameters", "rope_scaling"}) {
      const auto found = root.find(key);
      if (found == root.end() || found->is_null()) continue;
      if (!found->is_object()) fail(key, "an object or null", shown(*found));
      rope_.push_back({std::string(key) + ".", &*found});
    }
  }

  [[noreturn]] void fail(const std::string& key, const std::string& wanted, const std::string& found) const {
    const std::string where = key.empty() ? file_ : fmt::format("{}: key {}", file_, key);
    throw FormatError(where + ": " + expected(wanted, found));
  }
  [[noreturn]] void refuse(const std::string& message) const { throw FormatError(file_ + ": " + message); }

  bool has_rope_object() const { return !rope_.empty(); }

  // The value under any of these names, null counting as absent; nullptr if there is none.
  const Json* top(const std::vector<std::string>& names) const { return find(names, top_); }
  const Json* rope(const std::vector<std::string>& names) const { return find(names, rope_); }
  const Json* anywhere(const std::string& name) const {
    std::vector<Place> places = top_;
    places.insert(places.end(), rope_.begin(), rope_.end());
    return find({name}, places);
  }

  std::int64_t integer(const std::string& key, const Json& value, std::int64_t minimum, std::int64_t maximum) const {
    const std::string wanted = fmt::format("an integer from {} to {}", minimum, maximum);
    if (!value.is_number_integer()) fail(key, wanted, shown(value));
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(maximum)) {
      fail(key, wanted, shown(value));
    }
    const auto number = value.get<std::int64_t>();
    if (number < minimum || number > maximum) fail(key, wanted, shown(value));
    return number;
  }
  std::int64_t size(const std::string& key) const { return integer(key, need(key), 1, kLargestSize); }
  std::int64_t size(const std::string& key, std::int64_t absent) const {
    const Json* value = top({key});
    return value ? integer(key, *value, 1, kLargestSize) : absent;
  }

  double positive(const std::string& key, const Json* value, double absent) const {
    if (value == nullptr) return absent;
    if (!value->is_number()) fail(key, "a number above 0", shown(*value));
    const auto number = value->get<double>();
    if (!(number > 0) || !std::isfinite(number)) fail(key, "a number above 0", shown(*value));
    return number;
  }

  bool flag(const std::string& key, bool absent) const {
    const Json* value = top({key});
    if (value == nullptr) return absent;
    if (!value->is_boolean()) fail(key, "true or false", shown(*value));
    return value->get<bool>();
  }

  std::string word(const std::string& key, const Json* value) const {
    if (value == nullptr) return "";
    if (!value->is_string()) fail(key, "a string", shown(*value));
    return value->get<std::string>();
  }

 private:
  using Place = std::pair<std::string, const Json*>;

  const Json& need(const std::string& key) const {
    const Json* value = top({key});
    if (value == nullptr) refuse(fmt::format("key {} is missing; a Phi-3 config has it", key));
    return *value;
  }

  const Json* find(const std::vector<std::string>& names, const std::vector<Place>& places) const {
    const Json* first = nullptr;
    std::string first_key;
    for (const auto& [prefix, object] : places) {
      for (const std::string& name : names) {
        const auto found = object->find(name);
        if (found == object->end() || found->is_null()) continue;
        if (first == nullptr) {
          first = &*found;
          first_key = prefix + name;
        } else if (*first != *found) {
          refuse(fmt::format("{} is {} but {}{} is {}; they must agree", first_key, shown(*first), prefix, name,
                             shown(*found)));
        }
      }
    }
    return first;
  }

  std::string file_;
  std::vector<Place> top_;
  std::vector<Place> rope_;
};

void check_model_type(const Reader& reader) {
  static const std::vector<std::pair<std::string, std::string>> kKnownOthers = {
      {"phi3small", "Phi-3-small (block-sparse attention, biases)"},
      {"phimoe", "Phi-3.5-MoE (mixture of experts)"},
      {"phi3_v", "Phi-3-vision (image input)"},
      {"phi4mm", "Phi-4-multimodal (image and audio input)"},
      {"phi4_multimodal", "Phi-4-multimodal (image and audio input)"},
  };
  const std::string type = reader.word("model_type", reader.top({"model_type"}));
  for (const auto& [name, description] : kKnownOthers) {
    if (type == name) {
      reader.refuse(
          fmt::format("model_type \"{}\" is {}, another architecture; only \"phi3\" is supported", type, description));
    }
  }
  const Json* architectures = reader.top({"architectures"});
  if (type.empty() && architectures == nullptr) reader.fail("model_type", "\"phi3\"", "nothing");
  if (!type.empty() && type != "phi3") reader.fail("model_type", "\"phi3\"", '"' + type + '"');
  if (architectures != nullptr && *architectures != Json::array({"Phi3ForCausalLM"})) {
    reader.fail("architectures", "[\"Phi3ForCausalLM\"]", shown(*architectures));
  }
}

void check_fixed_choices(const Reader& reader) {
  const std::string activation = reader.word("hidden_act", reader.top({"hidden_act"}));
  if (!activation.empty() && activation != "silu" && activation != "swish") {
    reader.fail("hidden_act", "\"silu\"", '"' + activation + '"');
  }
  if (reader.flag("attention_bias", false)) reader.fail("attention_bias", "false (Phi-3 has no biases)", "true");
}

void read_heads(const Reader& reader, ModelConfig& config) {
  config.num_heads = reader.size("num_attention_heads");
  config.num_key_value_heads = reader.size("num_key_value_heads", config.num_heads);
  if (config.num_heads % config.num_key_value_heads != 0) {
    reader.fail("num_key_value_heads", fmt::format("a divisor of num_attention_heads ({})", config.num_heads),
                std::to_string(config.num_key_value_heads));
  }
  if (reader.top({"head_dim"}) == nullptr && config.hidden_size % config.num_heads != 0) {
    reader.fail("hidden_size", fmt::format("a multiple of num_attention_heads ({})", config.num_heads),
                std::to_string(config.hidden_size));
  }
  config.head_dim = reader.size("head_dim", config.hidden_size / config.num_heads);
  const double fraction = reader.positive("partial_rotary_factor", reader.anywhere("partial_rotary_factor"), 1.0);
  if (fraction > 1) reader.fail("partial_rotary_factor", "at most 1", fmt::format("{}", fraction));
  config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * fraction);
  if (config.rotary_dim < 2 || config.rotary_dim % 2 != 0) {
    reader.refuse(fmt::format("head_dim ({}) times partial_rotary_factor ({}): {}", config.head_dim, fraction,
                              expected("an even number of channels, at least 2", std::to_string(config.rotary_dim))));
  }
}

std::vector<double> read_factors(const Reader& reader, const std::string& key, std::int64_t rotary_dim) {
  const Json* list = reader.rope({key});
  const std::string wanted = fmt::format("a list of {} numbers above 0 (half the rotary dimension)", rotary_dim / 2);
  if (list == nullptr) reader.fail(key, wanted, "nothing");
  if (!list->is_array()) reader.fail(key, wanted, shown(*list));
  if (static_cast<std::int64_t>(list->size()) != rotary_dim / 2) {
    reader.fail(key, wanted, fmt::format("{} of them", list->size()));
  }
  std::vector<double> factors;
  for (const Json& value : *list) {
    factors.push_back(reader.positive(fmt::format("{}[{}]", key, factors.size()), &value, 1.0));
  }
  return factors;
}

// "plain" or "longrope".
std::string read_rope_type(const Reader& reader) {
  if (!reader.has_rope_object()) return "plain";
  std::string type;
  for (const char* key : {"rope_type", "type"}) {
    std::string word = reader.word(key, reader.rope({key}));
    if (word == "su" || word == "yarn") word = "longrope";  // as transformers reads them for Phi-3
    if (word.empty()) continue;
    if (!type.empty() && type != word) reader.refuse(fmt::format("rope_type is \"{}\" but type is \"{}\"", type, word));
    type = word;
  }
  if (type.empty()) type = reader.rope({"long_factor"}) || reader.rope({"short_factor"}) ? "longrope" : "default";
  if (type == "default") return "plain";
  if (type != "longrope")
    reader.fail("rope_type", "\"longrope\" (or \"su\", \"yarn\") or \"default\"", '"' + type + '"');
  return type;
}

void read_positions(const Reader& reader, ModelConfig& config) {
  config.rope_theta = reader.positive("rope_theta", reader.anywhere("rope_theta"), 10000.0);
  config.max_position_embeddings = reader.size("max_position_embeddings", 4096);
  config.original_max_position_embeddings = config.max_position_embeddings;
  if (const Json* window = reader.top({"sliding_window"})) {
    config.sliding_window = reader.integer("sliding_window", *window, 1, std::int64_t{1} << 40);
  }
  if (read_rope_type(reader) == "plain") return;

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
  const double usual =
      std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(config.original_max_position_embeddings)));
  config.attention_factor = reader.positive("attention_factor", reader.rope({"attention_factor"}), usual);
}

void read_end_tokens(const Reader& reader, std::int64_t vocab_size, std::set<std::int64_t>& end_tokens) {
  const Json* value = reader.top({"eos_token_id"});
  if (value == nullptr) return;
  for (const Json& token : value->is_array() ? *value : Json::array({*value})) {
    end_tokens.insert(reader.integer("eos_token_id", token, 0, vocab_size - 1));
  }
}

std::optional<std::int64_t> read_token(const Reader& reader, const std::string& key, std::int64_t vocab_size) {
  const Json* value = reader.top({key});
  if (value == nullptr) return std::nullopt;
  return reader.integer(key, *value, 0, vocab_size - 1);
}

void read_tokens(const Reader& reader, const fs::path& model_folder, ModelConfig& config) {
  std::set<std::int64_t> end_tokens;
  read_end_tokens(reader, config.vocab_size, end_tokens);
  const fs::path generation = model_folder / "generation_config.json";
  if (fs::exists(generation)) {
    const Json root = parse_json(read_file(generation, kLargestFile), generation.string());
    read_end_tokens(Reader(generation.string(), root), config.vocab_size, end_tokens);
  }
  config.end_tokens.assign(end_tokens.begin(), end_tokens.end());
  config.bos_token = read_token(reader, "bos_token_id", config.vocab_size);
  config.pad_token = read_token(reader, "pad_token_id", config.vocab_size);
}

}  // namespace

ModelConfig read_model_config(const fs::path& model_folder) {
  const fs::path path = model_folder / "config.json";
  data::require_model_folder(model_folder, "config.json");
  const Json root = parse_json(read_file(path, kLargestFile), path.string());
  const Reader reader(path.string(), root);
  check_model_type(reader);
  check_fixed_choices(reader);

  ModelConfig config;
  config.hidden_size = reader.size("hidden_size");
  config.intermediate_size = reader.size("intermediate_size");
  config.num_layers = reader.integer("num_hidden_layers", reader.size("num_hidden_layers"), 1, 512);
  config.vocab_size = reader.size("vocab_size");
  config.rms_norm_eps = reader.positive("rms_norm_eps", reader.top({"rms_norm_eps"}), 1e-5);
  config.tie_word_embeddings = reader.flag("tie_word_embeddings", false);
  read_heads(reader, config);
  read_positions(reader, config);
  read_tokens(reader, model_folder, config);
  config.stored_dtype = reader.word("torch_dtype", reader.top({"dtype", "torch_dtype"}));
  if (config.stored_dtype.starts_with("torch.")) config.stored_dtype.erase(0, 6);
  return config;
}

}  // namespace nkat::models
