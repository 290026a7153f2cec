#include "models/tensor_table.h"

#include <algorithm>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "core/error.h"

namespace nkat::models {
namespace {

using Shape = std::vector<std::int64_t>;
using Config = ModelConfig;

struct Row {
  TensorRole role;
  TensorKind kind;
  TensorPart part;
  const char* name;       // {} is the layer
  const char* gguf_name;  // {} is the layer
  Shape (*shape)(const Config& config);
  bool Config::*only_if = nullptr;  // the config has it; nullptr: always there
};

using enum TensorRole;
using enum TensorPart;
constexpr TensorKind kTable = TensorKind::kEmbedding, kNorm = TensorKind::kNorm, kMatrix = TensorKind::kMatrix,
                     kBias = TensorKind::kBias;

std::int64_t query_rows(const Config& c) { return c.num_heads * c.head_dim; }
std::int64_t key_rows(const Config& c) { return c.num_key_value_heads * c.head_dim; }

Shape hidden(const Config& c) { return {c.hidden_size}; }
Shape head(const Config& c) { return {c.head_dim}; }
Shape vocabulary(const Config& c) { return {c.vocab_size, c.hidden_size}; }
Shape qkv(const Config& c) { return {c.qkv_rows(), c.hidden_size}; }
Shape query(const Config& c) { return {query_rows(c), c.hidden_size}; }
Shape query_bias(const Config& c) { return {query_rows(c)}; }
Shape key(const Config& c) { return {key_rows(c), c.hidden_size}; }
Shape key_bias(const Config& c) { return {key_rows(c)}; }
Shape attention_output(const Config& c) { return {c.hidden_size, query_rows(c)}; }
Shape gate_up(const Config& c) { return {2 * c.intermediate_size, c.hidden_size}; }
Shape gate(const Config& c) { return {c.intermediate_size, c.hidden_size}; }
Shape gate_bias(const Config& c) { return {c.intermediate_size}; }
Shape down(const Config& c) { return {c.hidden_size, c.intermediate_size}; }

constexpr Row kBelow[] = {
    {kEmbedding, kTable, kWhole, "model.embed_tokens.weight", "token_embd.weight", vocabulary},
};
constexpr Row kAbove[] = {
    {kFinalNorm, kNorm, kWhole, "model.norm.weight", "output_norm.weight", hidden},
    {kHead, kMatrix, kWhole, "lm_head.weight", "output.weight", vocabulary},
};
constexpr Row kPhi3Layer[] = {
    {kInputNorm, kNorm, kWhole, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", hidden},
    {kQkv, kMatrix, kWhole, "model.layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight", qkv},
    {kAttentionOutput, kMatrix, kWhole, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight",
     attention_output},
    {kPostAttentionNorm, kNorm, kWhole, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight",
     hidden},
    {kGateUp, kMatrix, kWhole, "model.layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight", gate_up},
    {kDown, kMatrix, kWhole, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", down},
};
// Of Llama, Mistral and Qwen: parts apart, biases and norms of heads where the config has them.
constexpr Row kLlamaLayer[] = {
    {kInputNorm, kNorm, kWhole, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", hidden},
    {kQkv, kMatrix, kQuery, "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", query},
    {kQkv, kMatrix, kKey, "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", key},
    {kQkv, kMatrix, kValue, "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", key},
    {kQkv, kBias, kQuery, "model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", query_bias,
     &Config::qkv_bias},
    {kQkv, kBias, kKey, "model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", key_bias, &Config::qkv_bias},
    {kQkv, kBias, kValue, "model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", key_bias, &Config::qkv_bias},
    {kQueryNorm, kNorm, kWhole, "model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", head,
     &Config::head_norms},
    {kKeyNorm, kNorm, kWhole, "model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", head,
     &Config::head_norms},
    {kAttentionOutput, kMatrix, kWhole, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight",
     attention_output},
    {kAttentionOutput, kBias, kWhole, "model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias", hidden,
     &Config::output_bias},
    {kPostAttentionNorm, kNorm, kWhole, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight",
     hidden},
    {kGateUp, kMatrix, kGate, "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", gate},
    {kGateUp, kMatrix, kUp, "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", gate},
    {kGateUp, kBias, kGate, "model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", gate_bias,
     &Config::mlp_bias},
    {kGateUp, kBias, kUp, "model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias", gate_bias, &Config::mlp_bias},
    {kDown, kMatrix, kWhole, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", down},
    {kDown, kBias, kWhole, "model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias", hidden, &Config::mlp_bias},
};

std::span<const Row> layer_rows(const Config& config) {
  if (config.family == Family::kPhi3) return kPhi3Layer;
  return kLlamaLayer;
}

bool is_there(const Row& row, const Config& config) { return row.only_if == nullptr || config.*row.only_if; }

// llama.cpp rotates neighboring channels in its "llama" architecture.
std::int64_t paired_heads(const Row& row, const Config& config) {
  if (config.family != Family::kLlama && config.family != Family::kMistral) return 0;
  return row.part == kQuery ? config.num_heads : row.part == kKey ? config.num_key_value_heads : 0;
}

TensorSpec spec_of(const Row& row, const Config& config, std::int64_t layer) {
  TensorSpec spec{.role = row.role,
                  .kind = row.kind,
                  .part = row.part,
                  .layer = layer,
                  .name = fmt::format(fmt::runtime(row.name), layer),
                  .gguf_name = fmt::format(fmt::runtime(row.gguf_name), layer),
                  .shape = row.shape(config),
                  .gguf_paired_heads = paired_heads(row, config)};
  if (row.role == kHead && config.tie_word_embeddings) {
    spec.is_tied = true;
    spec.name = kBelow[0].name;
  }
  return spec;
}

void append(std::span<const Row> rows, const Config& config, std::int64_t layer, std::vector<TensorSpec>& specs) {
  for (const Row& row : rows) {
    if (is_there(row, config)) specs.push_back(spec_of(row, config, layer));
  }
}

std::vector<TensorSpec> appended(std::span<const Row> rows, const Config& config, std::int64_t layer) {
  std::vector<TensorSpec> specs;
  append(rows, config, layer, specs);
  return specs;
}

// Neighbors of one role and kind become one tensor.
std::vector<TensorSpec> stacked(std::vector<TensorSpec> stored) {
  std::vector<TensorSpec> specs;
  for (TensorSpec& spec : stored) {
    if (spec.part == kWhole) {
      specs.push_back(std::move(spec));
      continue;
    }
    if (specs.empty() || specs.back().role != spec.role || specs.back().kind != spec.kind) {
      specs.push_back({.role = spec.role, .kind = spec.kind, .layer = spec.layer, .shape = spec.shape});
      specs.back().shape.front() = 0;
    }
    specs.back().shape.front() += spec.shape.front();
    specs.back().parts.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace

MatrixShape TensorSpec::matrix() const {
  return {.rows = shape.size() == 1 ? 1 : static_cast<std::size_t>(shape.front()),
          .columns = static_cast<std::size_t>(shape.back())};
}

std::vector<std::uint64_t> TensorSpec::gguf_sizes() const { return {shape.rbegin(), shape.rend()}; }

std::size_t TensorSpec::gguf_row(std::size_t row) const {
  if (gguf_paired_heads == 0) return row;
  const auto head_rows = static_cast<std::size_t>(shape.front() / gguf_paired_heads);
  const std::size_t inside = row % head_rows, half = head_rows / 2;
  return row - inside + 2 * (inside % half) + inside / half;
}

std::size_t TensorSpec::checkpoint_row(std::size_t gguf_row) const {
  if (gguf_paired_heads == 0) return gguf_row;
  const auto head_rows = static_cast<std::size_t>(shape.front() / gguf_paired_heads);
  const std::size_t inside = gguf_row % head_rows;
  return gguf_row - inside + inside % 2 * (head_rows / 2) + inside / 2;
}

std::vector<TensorSpec> model_tensors(const Config& config) {
  std::vector<TensorSpec> specs = appended(kBelow, config, -1);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) append(layer_rows(config), config, layer, specs);
  append(kAbove, config, -1, specs);
  return specs;
}

std::vector<TensorSpec> checkpoint_tensors(const Config& config) {
  std::vector<TensorSpec> specs = model_tensors(config);
  std::erase_if(specs, [](const TensorSpec& spec) { return spec.is_tied; });
  return specs;
}

std::vector<TensorSpec> decoder_tensors(const Config& config) { return stacked(model_tensors(config)); }

std::vector<TensorSpec> layer_tensors(const Config& config, std::int64_t layer) {
  return stacked(appended(layer_rows(config), config, layer));
}

std::vector<TensorSpec> layer_matrices(const Config& config) {
  std::vector<TensorSpec> specs = layer_tensors(config, 0);
  std::erase_if(specs, [](const TensorSpec& spec) { return !spec.is_layer_matrix(); });
  return specs;
}

TensorSpec model_tensor(const Config& config, TensorRole role, std::int64_t layer) {
  const std::span<const Row> all_rows[] = {kBelow, layer_rows(config), kAbove};
  for (const std::span<const Row> rows : all_rows) {
    std::vector<TensorSpec> found;
    for (const Row& row : rows) {
      if (row.role == role && row.kind != kBias && is_there(row, config)) found.push_back(spec_of(row, config, layer));
    }
    if (found.empty()) continue;
    NKAT_INVARIANT((layer >= 0) == (rows.data() == layer_rows(config).data()));
    return stacked(std::move(found)).front();
  }
  NKAT_INVARIANT(false);
}

std::optional<TensorSpec> down_bias(const Config& config, std::int64_t layer) {
  for (const Row& row : layer_rows(config)) {
    if (row.role == kDown && row.kind == kBias && is_there(row, config)) return spec_of(row, config, layer);
  }
  return std::nullopt;
}

bool is_computed_tensor(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace nkat::models
