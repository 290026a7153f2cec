// The decoder of every family with an adapter, one function per layer: the trainer and generation drive the layers.
//
//   x <- x + o_proj(attention(rope(qkv_proj(rms_norm(x)))))     q and k normalized by head before rope in Qwen3
//   h  = down_proj(swiglu(gate_up_proj(rms_norm(x))))
//   x <- x + h, or with the matrix M = I + gate R of an adapter (layers/MATHEMATICS.md 2)  x + M h
//
// Only x and M carry gradients; a layer keeps what the headers in layers/ state and nothing else. Samples are packed
// end to end without padding, each with positions from 0 and its own choice of short or long rotary factors, so that a
// sample's result doesn't depend on its neighbors.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/attention.h"
#include "layers/rope.h"
#include "models/config.h"
#include "models/packed_batch.h"
#include "models/weights/weights.h"

namespace nkat::models {

// Called with a layer's matrix, as layer_weights() holds it, and its input (T, in) before they are multiplied.
using InputObserver = std::function<void(const layers::Weight& weight, const at::Tensor& input)>;

class Decoder {
 public:
  Decoder(ModelConfig config, Weights weights);

  const ModelConfig& config() const { return config_; }
  at::ScalarType dtype() const { return weights_.embedding.scalar_type(); }
  at::Device device() const { return weights_.embedding.device(); }
  std::int64_t num_layers() const { return config_.num_layers; }
  layers::HeadShape heads() const {
    return {.num_heads = config_.num_heads,
            .num_key_value_heads = config_.num_key_value_heads,
            .head_dim = config_.head_dim};
  }

  // (T) int64, each below the vocabulary size -> (T, H)
  at::Tensor embed(const at::Tensor& tokens) const;
  layers::PackedSequences layout(const std::vector<std::int64_t>& lengths) const;
  // x (T, H), adapter_matrix (H/8, 8, 8) or undefined for no adapter -> (T, H)
  at::Tensor layer(std::int64_t index, const at::Tensor& x, const layers::PackedSequences& layout,
                   const at::Tensor& adapter_matrix) const;
  at::Tensor final_norm(const at::Tensor& x) const;                // (T, H) -> (T, H)
  const at::Tensor& head_weight() const { return weights_.head; }  // (V, H)
  at::Tensor logits(const at::Tensor& normed) const;               // (T, H) -> (T, V)

  // All layers and the final norm. adapter: M of each layer (Adapter::matrices), or empty. -> (T, H)
  at::Tensor hidden(const PackedBatch& batch, const std::vector<at::Tensor>& adapter) const;

  // The two halves of layer(): a key-value cache can replace the attention between them.
  // x (T, H) -> rotated q, k and v (T, (heads + 2 kv heads) head_dim)
  at::Tensor rotated_qkv(std::int64_t index, const at::Tensor& x, const layers::RopeAngles& angles) const;
  // x (T, H), attended (T, heads head_dim) -> (T, H)
  at::Tensor finish_layer(std::int64_t index, const at::Tensor& x, const at::Tensor& attended,
                          const at::Tensor& adapter_matrix) const;
  const layers::RopeTable& rope() const { return rope_; }

  const LayerWeights& layer_weights(std::int64_t index) const {
    return weights_.layers[static_cast<std::size_t>(index)];
  }
  void observe_inputs(InputObserver observer) { observer_ = std::move(observer); }

 private:
  at::Tensor linear(const at::Tensor& x, const layers::Weight& weight) const;
  at::Tensor with_head_norms(const at::Tensor& qkv, const LayerWeights& weights) const;

  ModelConfig config_;
  Weights weights_;
  layers::RopeTable rope_;
  InputObserver observer_ = {};
};

}  // namespace nkat::models
