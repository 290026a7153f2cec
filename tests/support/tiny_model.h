// A small random Phi-3 in memory, and as a model folder without tokenizer.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/randint.h>

#include "data/formats/safetensors.h"
#include "models/decoder.h"

namespace nkat::testing {

// 2 layers, 4 query heads on 2 key-value heads of 8 channels, longrope with a boundary at 16 tokens.
inline models::ModelConfig tiny_config() {
  return {.hidden_size = 32,
          .intermediate_size = 40,
          .num_layers = 2,
          .num_heads = 4,
          .num_key_value_heads = 2,
          .head_dim = 8,
          .rotary_dim = 8,
          .vocab_size = 50,
          .rms_norm_eps = 1e-5,
          .rope_theta = 10000,
          .max_position_embeddings = 64,
          .original_max_position_embeddings = 16,
          .sliding_window = std::nullopt,
          .short_factor = {1, 1.1, 1.3, 1.6},
          .long_factor = {1, 2, 5, 9},
          .attention_factor = 1.2,
          .tie_word_embeddings = false,
          .end_tokens = {},
          .bos_token = std::nullopt,
          .pad_token = std::nullopt,
          .stored_dtype = "float32"};
}

// By name, float32, with values that keep activations of order one.
inline std::map<std::string, at::Tensor> tiny_tensors(const models::ModelConfig& config, std::uint64_t seed = 1) {
  at::manual_seed(seed);
  std::map<std::string, at::Tensor> tensors;
  for (const models::TensorSpec& tensor : models::checkpoint_tensors(config)) {
    const at::Tensor random = 0.2 * at::randn(tensor.shape);
    tensors[tensor.name] = tensor.kind == models::TensorKind::kNorm ? 1 + random : random;
  }
  return tensors;
}

inline models::Weights tiny_weights(const models::ModelConfig& config, at::ScalarType type) {
  const auto tensors = tiny_tensors(config);
  const auto get = [&](const std::string& name) { return tensors.at(name).to(type); };
  models::Weights weights;
  weights.embedding = get("model.embed_tokens.weight");
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    weights.layers.push_back({.input_norm = get(prefix + "input_layernorm.weight"),
                              .qkv = get(prefix + "self_attn.qkv_proj.weight"),
                              .attention_output = get(prefix + "self_attn.o_proj.weight"),
                              .post_attention_norm = get(prefix + "post_attention_layernorm.weight"),
                              .gate_up = get(prefix + "mlp.gate_up_proj.weight"),
                              .down = get(prefix + "mlp.down_proj.weight")});
  }
  weights.final_norm = get("model.norm.weight");
  weights.head = config.tie_word_embeddings ? weights.embedding : get("lm_head.weight");
  return weights;
}

inline models::Decoder tiny_decoder(const models::ModelConfig& config, at::ScalarType type) {
  return {config, tiny_weights(config, type)};
}

inline std::vector<std::int32_t> random_tokens(const models::ModelConfig& config, std::int64_t count) {
  const at::Tensor ids = at::randint(config.vocab_size, {count}, at::kInt);
  return {ids.const_data_ptr<std::int32_t>(), ids.const_data_ptr<std::int32_t>() + count};
}

// Safetensors bytes of tensors in float32, float16 or bfloat16.
inline std::string serialized(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<at::Tensor> alive;
  std::vector<data::TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) {
    alive.push_back(tensor.contiguous());
    const at::Tensor& values = alive.back();
    const data::DType type = values.scalar_type() == at::kHalf       ? data::DType::kF16
                             : values.scalar_type() == at::kBFloat16 ? data::DType::kBF16
                             : values.scalar_type() == at::kDouble   ? data::DType::kF64
                                                                     : data::DType::kF32;
    list.push_back({.name = name,
                    .dtype = type,
                    .shape = values.sizes().vec(),
                    .bytes = {static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()}});
  }
  return data::serialize_safetensors(list, {});
}

}  // namespace nkat::testing
