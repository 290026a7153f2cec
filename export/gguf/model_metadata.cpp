#include "export/gguf/model_metadata.h"

#include <algorithm>
#include <cctype>

#include "core/version.h"
#include "data/run/adapter_config.h"

namespace nkat::exporting {
namespace {

using gguf::GgufMetadata;
using gguf::GgufValue;

constexpr std::uint32_t kQuantizationVersion = 2;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Keys {
 public:
  explicit Keys(GgufMetadata& metadata) : metadata_(metadata) {}
  void u32(const std::string& key, std::int64_t value) {
    metadata_.add(key, GgufValue::number(static_cast<std::uint32_t>(value)));
  }
  void f32(const std::string& key, double value) { metadata_.add(key, GgufValue::number(static_cast<float>(value))); }
  void flag(const std::string& key, bool value) { metadata_.add(key, GgufValue::number(value)); }
  void text(const std::string& key, const std::string& value) { metadata_.add(key, GgufValue::string(value)); }

 private:
  GgufMetadata& metadata_;
};

// Those of every architecture, and those of phi3.
void add_sizes(const models::ModelConfig& config, std::uint32_t context_length, const std::string& prefix, Keys& keys) {
  const bool is_phi3 = config.family == models::Family::kPhi3;
  keys.u32(prefix + "context_length", context_length);
  if (is_phi3) keys.u32(prefix + "rope.scaling.original_context_length", config.original_max_position_embeddings);
  keys.u32(prefix + "embedding_length", config.hidden_size);
  keys.u32(prefix + "feed_forward_length", config.intermediate_size);
  keys.u32(prefix + "block_count", config.num_layers);
  keys.u32(prefix + "attention.head_count", config.num_heads);
  keys.u32(prefix + "attention.head_count_kv", config.num_key_value_heads);
  keys.f32(prefix + "attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  if (is_phi3) keys.u32(prefix + "rope.dimension_count", config.rotary_dim);
  keys.f32(prefix + "rope.freq_base", config.rope_theta);
  if (!config.long_factor.empty()) keys.f32(prefix + "rope.scaling.attn_factor", config.attention_factor);
  if (is_phi3) keys.u32(prefix + "attention.sliding_window", config.sliding_window.value_or(0));
}

void add_architecture(const models::ModelConfig& config, std::uint32_t context_length, Keys& keys) {
  const std::string architecture = models::traits_of(config.family).gguf_architecture, prefix = architecture + ".";
  add_sizes(config, context_length, prefix, keys);
  if (config.family == models::Family::kPhi3) return;
  if (config.rope_scaling.kind == layers::RopeScaling::Kind::kLinear) {
    keys.text(prefix + "rope.scaling.type", "linear");
    keys.f32(prefix + "rope.scaling.factor", config.rope_scaling.factor);
  }
  if (config.explicit_head_dim || config.num_heads * config.head_dim != config.hidden_size) {
    keys.u32(prefix + "attention.key_length", config.head_dim);
    keys.u32(prefix + "attention.value_length", config.head_dim);
  }
  if (architecture != "llama") return;
  keys.u32(prefix + "vocab_size", config.vocab_size);
  keys.u32(prefix + "rope.dimension_count", config.rotary_dim);
}

void add_tokenizer(const Vocabulary& vocabulary, const std::string& chat_template, GgufMetadata& metadata) {
  Keys keys(metadata);
  keys.text("tokenizer.ggml.model", vocabulary.model);
  keys.text("tokenizer.ggml.pre", vocabulary.pre);
  metadata.add("tokenizer.ggml.tokens", GgufValue::strings(vocabulary.texts));
  if (vocabulary.model == "llama") metadata.add("tokenizer.ggml.scores", GgufValue::numbers<float>(vocabulary.scores));
  metadata.add("tokenizer.ggml.token_type", GgufValue::numbers<std::int32_t>(vocabulary.types));
  if (!vocabulary.merges.empty()) metadata.add("tokenizer.ggml.merges", GgufValue::strings(vocabulary.merges));
  if (vocabulary.begin) keys.u32("tokenizer.ggml.bos_token_id", *vocabulary.begin);
  if (vocabulary.end) keys.u32("tokenizer.ggml.eos_token_id", *vocabulary.end);
  if (vocabulary.unknown) keys.u32("tokenizer.ggml.unknown_token_id", *vocabulary.unknown);
  if (vocabulary.padding) keys.u32("tokenizer.ggml.padding_token_id", *vocabulary.padding);
  if (vocabulary.end_of_turn) keys.u32("tokenizer.ggml.eot_token_id", *vocabulary.end_of_turn);
  for (const auto& [key, id] : vocabulary.further_ids) keys.u32("tokenizer.ggml." + key, id);
  for (const auto& [key, value] : vocabulary.flags) keys.flag("tokenizer.ggml." + key, value);
  keys.text("tokenizer.chat_template", chat_template);
}

}  // namespace

GgufMetadata model_metadata(const models::ModelConfig& config, const Vocabulary& vocabulary, const ModelText& text,
                            QuantizationRecipe recipe, std::uint32_t context_length) {
  GgufMetadata metadata("the file to be exported");
  Keys keys(metadata);
  keys.text("general.architecture", models::traits_of(config.family).gguf_architecture);
  keys.text("general.type", "model");
  keys.text("general.name", text.name);
  keys.u32("general.file_type", file_type(recipe));
  keys.u32("general.quantization_version", kQuantizationVersion);
  add_architecture(config, context_length, keys);
  add_tokenizer(vocabulary, text.chat_template, metadata);
  return metadata;
}

void add_provenance(const Provenance& provenance, GgufMetadata& metadata) {
  Keys keys(metadata);
  keys.text(kVersionKey, kVersion);
  if (!provenance.base_sha256.empty()) keys.text("nkat.base_sha256", provenance.base_sha256);
  if (!provenance.has_adapter()) return;
  keys.u32("nkat.adapter.version", data::kAdapterFormatVersion);
  keys.text("nkat.adapter.sha256", provenance.adapter_sha256);
  keys.text("nkat.adapter.base_sha256", provenance.trained_on);
  keys.u32("nkat.adapter.first_layer", provenance.first_layer);
  metadata.add("nkat.adapter.gates", GgufValue::numbers<float>(provenance.gates));
  if (provenance.step) keys.u32("nkat.training_step", *provenance.step);
}

void add_importance(const Importance& importance, gguf::GgufMetadata& metadata) {
  if (importance.tokens() == 0) return;
  Keys keys(metadata);
  keys.u32("nkat.importance.tokens", importance.tokens());
  keys.text("nkat.importance.sha256", importance.sha256());
}

std::string default_name(const fs::path& model_folder, bool has_adapter, bool strips_after_special) {
  const fs::path folder = fs::weakly_canonical(model_folder);
  std::string name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  if (has_adapter) name += "-nkat";
  if (strips_after_special) return names_phi3(name) ? name : "phi3-" + name;
  for (const char* match : {"phi-3", "phi3"}) {
    for (std::size_t at; (at = lower(name).find(match)) != std::string::npos;)
      name.replace(at, std::string(match).size(), name.substr(at, 3) + " 3");
  }
  return name;
}

}  // namespace nkat::exporting
