#include "models/decoder.h"

#include <ATen/ops/embedding.h>

#include "core/error.h"
#include "layers/block_diagonal.h"
#include "layers/linear.h"
#include "layers/rms_norm.h"
#include "layers/swiglu.h"

namespace nkat::models {
namespace {

layers::RopeSettings rope_settings(const ModelConfig& config) {
  return {.rotary_dim = config.rotary_dim,
          .theta = config.rope_theta,
          .attention_factor = config.attention_factor,
          .original_length = config.original_max_position_embeddings,
          .short_factor = config.short_factor,
          .long_factor = config.long_factor,
          .scaling = config.rope_scaling};
}

}  // namespace

Decoder::Decoder(ModelConfig config, Weights weights)
    : config_(std::move(config)), weights_(std::move(weights)), rope_(rope_settings(config_), dtype(), device()) {
  NKAT_INVARIANT(static_cast<std::int64_t>(weights_.layers.size()) == config_.num_layers);
}

at::Tensor Decoder::linear(const at::Tensor& x, const layers::Weight& weight) const {
  if (observer_) observer_(weight, x);
  return layers::linear(x, weight);
}

at::Tensor Decoder::embed(const at::Tensor& tokens) const {
  NKAT_INVARIANT(tokens.dim() == 1 && tokens.scalar_type() == at::kLong);
  return at::embedding(weights_.embedding, tokens);
}

layers::PackedSequences Decoder::layout(const std::vector<std::int64_t>& lengths) const {
  layers::PackedSequences layout{.lengths = lengths, .angles = {}, .masks = {}};
  std::vector<at::Tensor> cos, sin;
  for (const std::int64_t length : lengths) {
    const layers::RopeAngles angles = rope_.angles(0, length);
    cos.push_back(angles.cos);
    sin.push_back(angles.sin);
  }
  layout.angles = {.cos = at::cat(cos), .sin = at::cat(sin)};
  layers::prepare_attention(layout, config_.sliding_window, heads(), weights_.embedding.options());
  return layout;
}

// qkv (T, (heads + 2 kv heads) head_dim) -> the same with every query and key head normalized
at::Tensor Decoder::with_head_norms(const at::Tensor& qkv, const LayerWeights& weights) const {
  const layers::HeadShape shape = heads();
  const std::int64_t keys = shape.num_key_value_heads * shape.head_dim;
  // split, unlike slicing, has a backward that writes each gradient once.
  const std::vector<at::Tensor> parts = qkv.split_with_sizes({shape.num_heads * shape.head_dim, keys, keys}, 1);
  const auto normed = [&](const at::Tensor& rows, const at::Tensor& weight) {
    const at::Tensor by_head = rows.reshape({-1, shape.head_dim});  // (T heads, head_dim)
    return layers::rms_norm(by_head, weight, config_.rms_norm_eps).view_as(rows);
  };
  return at::cat({normed(parts[0], weights.query_norm), normed(parts[1], weights.key_norm), parts[2]}, 1);
}

at::Tensor Decoder::rotated_qkv(std::int64_t index, const at::Tensor& x, const layers::RopeAngles& angles) const {
  const LayerWeights& weights = layer_weights(index);
  const at::Tensor normed = layers::rms_norm(x, weights.input_norm, config_.rms_norm_eps);
  at::Tensor qkv = linear(normed, weights.qkv);
  if (config_.head_norms) qkv = with_head_norms(qkv, weights);
  return layers::apply_rope_(std::move(qkv), angles, heads());
}

at::Tensor Decoder::finish_layer(std::int64_t index, const at::Tensor& x, const at::Tensor& attended,
                                 const at::Tensor& adapter_matrix) const {
  const LayerWeights& weights = layer_weights(index);
  const at::Tensor y = x + linear(attended, weights.attention_output);
  const at::Tensor normed = layers::rms_norm(y, weights.post_attention_norm, config_.rms_norm_eps);
  const at::Tensor h = linear(layers::swiglu(linear(normed, weights.gate_up)), weights.down);
  return adapter_matrix.defined() ? layers::add_block_diagonal(y, h, adapter_matrix) : y + h;
}

at::Tensor Decoder::layer(std::int64_t index, const at::Tensor& x, const layers::PackedSequences& layout,
                          const at::Tensor& adapter_matrix) const {
  const at::Tensor qkv = rotated_qkv(index, x, layout.angles);
  return finish_layer(index, x, layers::causal_attention(qkv, layout, heads()), adapter_matrix);
}

at::Tensor Decoder::final_norm(const at::Tensor& x) const {
  return layers::rms_norm(x, weights_.final_norm, config_.rms_norm_eps);
}

at::Tensor Decoder::logits(const at::Tensor& normed) const { return layers::linear(normed, weights_.head); }

at::Tensor Decoder::hidden(const PackedBatch& batch, const std::vector<at::Tensor>& adapter) const {
  NKAT_INVARIANT(adapter.empty() || static_cast<std::int64_t>(adapter.size()) == num_layers());
  const layers::PackedSequences sequence_layout = layout(batch.lengths);
  at::Tensor x = embed(batch.tokens);
  for (std::int64_t i = 0; i < num_layers(); ++i) {
    x = layer(i, x, sequence_layout, adapter.empty() ? at::Tensor() : adapter[static_cast<std::size_t>(i)]);
  }
  return final_norm(x);
}

}  // namespace nkat::models
