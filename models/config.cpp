#include "models/config.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/files/file.h"
#include "core/json.h"
#include "core/json_object.h"
#include "data/run/given_folder.h"
#include "models/config_positions.h"
#include "models/config_reader.h"
#include "models/weights/stored_head.h"

namespace nkat::models {
namespace {

using Json = ConfigReader::Json;

constexpr std::uint64_t kLargestFile = 16u << 20;
constexpr std::int64_t kAdapterBlock = 8;
constexpr const char* kPadToken = "pad_token_id";

Family read_family(const ConfigReader& reader) {
  const std::string type = reader.word("model_type", reader.top({"model_type"}));
  if (const std::string refused = refused_model_type(type); !refused.empty()) reader.refuse(refused);
  const Json* architectures = reader.top({"architectures"});
  if (type.empty() && architectures == nullptr) reader.fail("model_type", known_model_types(), "nothing");
  const auto is_named = [&](const FamilyTraits& one) {
    return type.empty() ? *architectures == Json::array({one.architecture}) : type == one.model_type;
  };
  const auto families = known_families();
  const auto found = std::ranges::find_if(families, is_named);
  if (found == families.end() && type.empty()) {
    reader.fail("architectures", "one of the classes of " + known_model_types(), shown(architectures));
  }
  if (found == families.end()) {
    reader.fail("model_type", known_model_types(),
                fmt::format("\"{}\", another architecture; its GGUF may run in llama.cpp, without an adapter", type));
  }
  if (architectures != nullptr && *architectures != Json::array({found->architecture})) {
    reader.fail("architectures", fmt::format("[\"{}\"], as model_type \"{}\" has it", found->architecture, type),
                shown(architectures));
  }
  return found->family;
}

void check_fixed_choices(const ConfigReader& reader) {
  const std::string activation = reader.word("hidden_act", reader.top({"hidden_act"}));
  if (!activation.empty() && activation != "silu" && activation != "swish") {
    reader.fail("hidden_act", "\"silu\"", '"' + activation + '"');
  }
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"}) {
    const Json* experts = reader.top({key});
    if (experts != nullptr && *experts != 0 && *experts != 1) {
      reader.fail(key, "nothing (a mixture of experts is not supported)", shown(experts));
    }
  }
}

void read_biases(const ConfigReader& reader, ModelConfig& config) {
  const bool asked = reader.flag("attention_bias", false);
  switch (config.family) {
    case Family::kPhi3:
      if (asked) reader.fail("attention_bias", "false (Phi-3 has no biases)", "true");
      return;
    case Family::kMistral: return;  // transformers' class doesn't read the key
    case Family::kQwen2: config.qkv_bias = true; return;
    case Family::kLlama: config.mlp_bias = reader.flag("mlp_bias", false); [[fallthrough]];
    case Family::kQwen3: config.qkv_bias = config.output_bias = asked;
  }
}

// Where the key is absent; null means as many as query heads.
std::int64_t usual_key_value_heads(const ConfigReader& reader, const ModelConfig& config) {
  if (reader.names("num_key_value_heads")) return config.num_heads;
  switch (config.family) {
    case Family::kMistral: return 8;
    case Family::kQwen2:
    case Family::kQwen3: return 32;
    default: return config.num_heads;
  }
}

void read_heads(const ConfigReader& reader, ModelConfig& config) {
  constexpr std::int64_t kQwen3HeadDim = 128;
  config.num_heads = reader.size("num_attention_heads");
  config.num_key_value_heads = reader.size("num_key_value_heads", usual_key_value_heads(reader, config));
  if (config.num_heads % config.num_key_value_heads != 0) {
    reader.fail("num_key_value_heads", fmt::format("a divisor of num_attention_heads ({})", config.num_heads),
                std::to_string(config.num_key_value_heads));
  }
  config.explicit_head_dim = reader.top({"head_dim"}) != nullptr;
  const bool derived = !config.explicit_head_dim && config.family != Family::kQwen3;
  if (derived && config.hidden_size % config.num_heads != 0) {
    reader.fail("hidden_size", fmt::format("a multiple of num_attention_heads ({})", config.num_heads),
                std::to_string(config.hidden_size));
  }
  config.head_dim = reader.size("head_dim", derived ? config.hidden_size / config.num_heads : kQwen3HeadDim);
  config.head_norms = config.family == Family::kQwen3;
}

// Some configs say "no end" or "no padding" by -1, and transformers loads them.
bool is_no_token(const Json& value) { return value.is_number_integer() && value == -1; }

void read_end_tokens(const ConfigReader& reader, std::int64_t vocab_size, std::set<std::int64_t>& end_tokens) {
  const Json* value = reader.top({"eos_token_id"});
  if (value == nullptr) return;
  for (const Json& token : value->is_array() ? *value : Json::array({*value})) {
    if (!is_no_token(token)) end_tokens.insert(reader.integer("eos_token_id", token, 0, vocab_size - 1));
  }
}

std::optional<std::int64_t> read_token(const ConfigReader& reader, const std::string& key, std::int64_t vocab_size) {
  const Json* value = reader.top({key});
  if (value == nullptr || (key == kPadToken && is_no_token(*value))) return std::nullopt;
  return reader.integer(key, *value, 0, vocab_size - 1);
}

void read_tokens(const ConfigReader& reader, const fs::path& model_folder, ModelConfig& config) {
  std::set<std::int64_t> end_tokens;
  read_end_tokens(reader, config.vocab_size, end_tokens);
  const fs::path generation = model_folder / "generation_config.json";
  if (fs::exists(generation)) {
    const Json root = parse_json(read_file(generation, kLargestFile), generation.string());
    read_end_tokens(ConfigReader(generation.string(), root), config.vocab_size, end_tokens);
  }
  config.end_tokens.assign(end_tokens.begin(), end_tokens.end());
  config.bos_token = read_token(reader, "bos_token_id", config.vocab_size);
  config.pad_token = read_token(reader, kPadToken, config.vocab_size);
}

// `dtype` is the newer spelling, and transformers prefers it.
std::string read_dtype(const ConfigReader& reader, const std::string& file) {
  const auto read = [&](const char* key) {
    const Json* value = reader.top({key});
    if (value != nullptr && value->is_object()) return std::string();  // one for each module of a larger model
    std::string name = reader.word(key, value);
    if (name.starts_with("torch.")) name.erase(0, 6);
    return name;
  };
  const std::string newer = read("dtype"), older = read("torch_dtype");
  if (!newer.empty() && !older.empty() && newer != older) {
    log::info(
        fmt::format("{}: dtype \"{}\" is taken, torch_dtype \"{}\" isn't, as in transformers", file, newer, older));
  }
  return newer.empty() ? older : newer;
}

void read_tied_head(const fs::path& model_folder, ModelConfig& config) {
  if (!config.tie_word_embeddings || !stores_another_head(model_folder)) return;
  log::warning(fmt::format(
      "{}: config.json has tie_word_embeddings true, but a lm_head.weight that differs from the embedding is stored; "
      "the stored head is taken. transformers drops it: set tie_word_embeddings to false to say what is meant",
      model_folder.string()));
  config.tie_word_embeddings = false;
}

}  // namespace

ModelConfig read_model_config(const fs::path& model_folder) {
  const fs::path path = model_folder / "config.json";
  data::require_model_folder(model_folder, "config.json");
  data::warn_of_adapter_beside(model_folder);
  const Json root = parse_json(read_file(path, kLargestFile), path.string());
  const ConfigReader reader(path.string(), root);
  ModelConfig config;
  config.family = read_family(reader);
  check_fixed_choices(reader);
  config.hidden_size = reader.size("hidden_size");
  config.intermediate_size = reader.size("intermediate_size");
  config.num_layers = reader.integer("num_hidden_layers", reader.size("num_hidden_layers"), 1, 512);
  config.vocab_size = reader.size("vocab_size");
  const double usual_epsilon = config.family == Family::kPhi3 ? 1e-5 : 1e-6;
  config.rms_norm_eps = reader.positive("rms_norm_eps", reader.top({"rms_norm_eps"}), usual_epsilon);
  config.tie_word_embeddings = reader.flag("tie_word_embeddings", false);
  read_biases(reader, config);
  read_heads(reader, config);
  if (config.hidden_size % kAdapterBlock != 0) {
    reader.fail("hidden_size", fmt::format("a multiple of {}, the channels of a block of the adapter", kAdapterBlock),
                std::to_string(config.hidden_size));
  }
  read_positions(reader, config);
  read_tokens(reader, model_folder, config);
  config.stored_dtype = read_dtype(reader, path.string());
  read_tied_head(model_folder, config);
  return config;
}

}  // namespace nkat::models
