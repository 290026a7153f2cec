#include "models/tensor_table.h"

#include <algorithm>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "core/error.h"

namespace nkat::models {
namespace {

using Shape = std::vector<std::int64_t>;

struct Row {
  TensorRole role;
  TensorKind kind;
  const char* name;       // {} is the layer
  const char* gguf_name;  // {} is the layer
  Shape (*shape)(const ModelConfig& config);
};

// A decoder family: tensors below the layers, of each layer, and above them, in forward order.
struct Family {
  std::span<const Row> below, layer, above;
};

using enum TensorRole;
using Config = ModelConfig;
constexpr TensorKind kTable = TensorKind::kEmbedding, kNorm = TensorKind::kNorm, kMatrix = TensorKind::kMatrix;

Shape hidden(const Config& c) { return {c.hidden_size}; }
Shape vocabulary(const Config& c) { return {c.vocab_size, c.hidden_size}; }
Shape qkv(const Config& c) { return {c.qkv_rows(), c.hidden_size}; }
Shape attention_output(const Config& c) { return {c.hidden_size, c.num_heads * c.head_dim}; }
Shape gate_up(const Config& c) { return {2 * c.intermediate_size, c.hidden_size}; }
Shape down(const Config& c) { return {c.hidden_size, c.intermediate_size}; }

constexpr Row kBelow[] = {
    {kEmbedding, kTable, "model.embed_tokens.weight", "token_embd.weight", vocabulary},
};
constexpr Row kLayer[] = {
    {kInputNorm, kNorm, "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", hidden},
    {kQkv, kMatrix, "model.layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight", qkv},
    {kAttentionOutput, kMatrix, "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight",
     attention_output},
    {kPostAttentionNorm, kNorm, "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", hidden},
    {kGateUp, kMatrix, "model.layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight", gate_up},
    {kDown, kMatrix, "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", down},
};
constexpr Row kAbove[] = {
    {kFinalNorm, kNorm, "model.norm.weight", "output_norm.weight", hidden},
    {kHead, kMatrix, "lm_head.weight", "output.weight", vocabulary},
};
constexpr Family kPhi3 = {kBelow, kLayer, kAbove};

TensorSpec spec_of(const Row& row, const Config& config, std::int64_t layer) {
  TensorSpec spec{.role = row.role,
                  .kind = row.kind,
                  .layer = layer,
                  .name = fmt::format(fmt::runtime(row.name), layer),
                  .gguf_name = fmt::format(fmt::runtime(row.gguf_name), layer),
                  .shape = row.shape(config)};
  if (row.role == kHead && config.tie_word_embeddings) {
    spec.is_tied = true;
    spec.name = kBelow[0].name;
  }
  return spec;
}

void append(std::span<const Row> rows, const Config& config, std::int64_t layer, std::vector<TensorSpec>& specs) {
  for (const Row& row : rows) specs.push_back(spec_of(row, config, layer));
}

}  // namespace

MatrixShape TensorSpec::matrix() const {
  return {.rows = shape.size() == 1 ? 1 : static_cast<std::size_t>(shape.front()),
          .columns = static_cast<std::size_t>(shape.back())};
}

std::vector<std::uint64_t> TensorSpec::gguf_sizes() const { return {shape.rbegin(), shape.rend()}; }

std::vector<TensorSpec> model_tensors(const ModelConfig& config) {
  std::vector<TensorSpec> specs;
  append(kPhi3.below, config, -1, specs);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) append(kPhi3.layer, config, layer, specs);
  append(kPhi3.above, config, -1, specs);
  return specs;
}

std::vector<TensorSpec> checkpoint_tensors(const ModelConfig& config) {
  std::vector<TensorSpec> specs = model_tensors(config);
  std::erase_if(specs, [](const TensorSpec& spec) { return spec.is_tied; });
  return specs;
}

std::vector<TensorSpec> layer_tensors(const ModelConfig& config, std::int64_t layer) {
  std::vector<TensorSpec> specs;
  append(kPhi3.layer, config, layer, specs);
  return specs;
}

std::vector<TensorSpec> layer_matrices(const ModelConfig& config) {
  std::vector<TensorSpec> specs = layer_tensors(config, 0);
  std::erase_if(specs, [](const TensorSpec& spec) { return !spec.is_layer_matrix(); });
  return specs;
}

TensorSpec model_tensor(const ModelConfig& config, TensorRole role, std::int64_t layer) {
  for (const std::span<const Row> rows : {kPhi3.below, kPhi3.layer, kPhi3.above}) {
    const auto found = std::ranges::find(rows, role, &Row::role);
    if (found == rows.end()) continue;
    NKAT_INVARIANT((layer >= 0) == (rows.data() == kPhi3.layer.data()));
    return spec_of(*found, config, layer);
  }
  NKAT_INVARIANT(false);
}

bool is_computed_tensor(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace nkat::models
