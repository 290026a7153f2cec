#include "export/hf/hf_config.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "models/tensor_table.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::ordered_json;
using models::Family;

// transformers computes longrope's attention factor a = sqrt(1 + log(longest / original) / log(original)) and takes no
// other; a GGUF file may declare a shorter context. -> the longest context that a was computed from.
std::int64_t longest_context(const models::ModelConfig& config) {
  if (config.long_factor.empty()) return config.max_position_embeddings;
  const double original = static_cast<double>(config.original_max_position_embeddings), a = config.attention_factor;
  return std::llround(std::pow(original, a * a));
}

double usual_attention_factor(double longest, double original) {
  return longest <= original ? 1 : std::sqrt(1 + std::log(longest / original) / std::log(original));
}

// Phi-3 has no biases, and Qwen2 always those of q, k and v.
bool has_attention_bias(const models::ModelConfig& config) {
  return config.family != Family::kPhi3 && config.family != Family::kQwen2;
}

void require_expressible(const models::ModelConfig& config, const std::string& where) {
  const auto refuse = [&](const std::string& what, const std::string& wanted, const std::string& found) {
    throw FormatError(
        fmt::format("{}: {}: {}", where, what, expected(wanted, found, "config.json can't say it; export to GGUF")));
  };
  if (config.long_factor.empty() && !config.short_factor.empty())
    refuse(models::kGgufRopeFactors, "no list of rope factors", fmt::format("{} numbers", config.short_factor.size()));
  if (has_attention_bias(config) && config.qkv_bias != config.output_bias)
    refuse("biases", "biases of q, k, v and o_proj or none",
           config.qkv_bias ? "none of o_proj" : "that of o_proj alone");
  if (config.long_factor.empty()) return;
  const double usual = usual_attention_factor(static_cast<double>(longest_context(config)),
                                              static_cast<double>(config.original_max_position_embeddings));
  if (std::abs(usual - config.attention_factor) > 1e-6 * usual)
    refuse("rope.scaling.attn_factor", "one that follows from the lengths", fmt::format("{}", config.attention_factor));
}

void add_rope(const models::ModelConfig& config, Json& json) {
  json["rope_theta"] = config.rope_theta;
  json["max_position_embeddings"] = longest_context(config);
  if (config.family == Family::kPhi3) {
    json["original_max_position_embeddings"] = config.original_max_position_embeddings;
    json["partial_rotary_factor"] = static_cast<double>(config.rotary_dim) / static_cast<double>(config.head_dim);
  }
  if (!config.long_factor.empty()) {
    json["rope_scaling"] = {
        {"type", "longrope"}, {"short_factor", config.short_factor}, {"long_factor", config.long_factor}};
  }
  using Kind = layers::RopeScaling::Kind;
  if (config.rope_scaling.kind == Kind::kLinear)
    json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", config.rope_scaling.factor}};
  if (config.rope_scaling.kind == Kind::kLlama3) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", config.rope_scaling.factor},
                            {"low_freq_factor", config.rope_scaling.low_frequency},
                            {"high_freq_factor", config.rope_scaling.high_frequency},
                            {"original_max_position_embeddings", config.rope_scaling.original_length}};
  }
}

void add_biases(const models::ModelConfig& config, Json& json) {
  if (!has_attention_bias(config)) return;
  json["attention_bias"] = config.qkv_bias;
  if (config.family == Family::kLlama) json["mlp_bias"] = config.mlp_bias;
}

void add_special_tokens(const models::ModelConfig& config, Json& json) {
  const auto id = [](const std::optional<std::int64_t>& token) { return token ? Json(*token) : Json(nullptr); };
  json["bos_token_id"] = id(config.bos_token);
  json["eos_token_id"] = nullptr;
  if (!config.end_tokens.empty()) json["eos_token_id"] = config.end_tokens;
  json["pad_token_id"] = id(config.pad_token);
}

}  // namespace

std::string hf_config_json(const models::ModelConfig& config, const std::string& dtype, const std::string& where) {
  require_expressible(config, where);
  const models::FamilyTraits& family = models::traits_of(config.family);
  Json json = {{"architectures", Json::array({family.architecture})},
               {"model_type", family.model_type},
               {"hidden_act", "silu"},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.num_layers},
               {"num_attention_heads", config.num_heads},
               {"num_key_value_heads", config.num_key_value_heads},
               {"head_dim", config.head_dim},
               {"vocab_size", config.vocab_size},
               {"rms_norm_eps", config.rms_norm_eps},
               {"tie_word_embeddings", config.tie_word_embeddings}};
  add_rope(config, json);
  if (config.sliding_window) json["sliding_window"] = *config.sliding_window;
  add_biases(config, json);
  add_special_tokens(config, json);
  json["dtype"] = dtype;
  return dump_json(json, 2) + "\n";
}

std::string generation_config_json(const models::ModelConfig& config) {
  Json json = Json::object();
  add_special_tokens(config, json);
  return dump_json(json, 2) + "\n";
}

}  // namespace nkat::exporting
