// A small model as a GGUF file with the keys of a config and no tokenizer, without the exporter.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "data/formats/gguf_writer.h"
#include "data/quantize/quantize.h"
#include "models/tensor_table.h"

namespace nkat::testing {

inline gguf::GgufMetadata tiny_gguf_keys(const models::ModelConfig& config) {
  gguf::GgufMetadata keys("test");
  const auto u32 = [&](const char* key, std::int64_t value) {
    keys.add(key, gguf::GgufValue::number(static_cast<std::uint32_t>(value)));
  };
  keys.add("general.architecture", gguf::GgufValue::string("phi3"));
  u32("phi3.context_length", config.max_position_embeddings);
  u32("phi3.rope.scaling.original_context_length", config.original_max_position_embeddings);
  u32("phi3.embedding_length", config.hidden_size);
  u32("phi3.feed_forward_length", config.intermediate_size);
  u32("phi3.block_count", config.num_layers);
  u32("phi3.attention.head_count", config.num_heads);
  u32("phi3.attention.head_count_kv", config.num_key_value_heads);
  u32("phi3.rope.dimension_count", config.rotary_dim);
  keys.add("phi3.attention.layer_norm_rms_epsilon", gguf::GgufValue::number(static_cast<float>(config.rms_norm_eps)));
  keys.add("phi3.rope.freq_base", gguf::GgufValue::number(static_cast<float>(config.rope_theta)));
  keys.add("phi3.rope.scaling.attn_factor", gguf::GgufValue::number(static_cast<float>(config.attention_factor)));
  return keys;
}

// Matrices as `type` where their rows are whole blocks, all else F32.
inline void write_tiny_gguf(const std::filesystem::path& path, const models::ModelConfig& config,
                            const std::map<std::string, at::Tensor>& tensors,
                            gguf::GgmlType type = gguf::GgmlType::kF32) {
  std::vector<gguf::GgufTensorPlan> plan;
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, factors] :
       {std::pair{models::kGgufLongFactors, config.long_factor}, {models::kGgufShortFactors, config.short_factor}}) {
    if (factors.empty()) continue;
    plan.push_back({name, {factors.size()}});
    values[name] = {factors.begin(), factors.end()};
  }
  for (const models::TensorSpec& spec : models::checkpoint_tensors(config)) {
    const at::Tensor& tensor = tensors.at(spec.name);
    const std::uint64_t length = spec.gguf_sizes().front();
    const bool fits = spec.shape.size() == 2 && length % gguf::traits(type).block_elements == 0;
    plan.push_back({spec.gguf_name, spec.gguf_sizes(), fits ? type : gguf::GgmlType::kF32});
    const float* begin = tensor.const_data_ptr<float>();
    values[spec.gguf_name] = {begin, begin + tensor.numel()};
  }
  gguf::write_gguf(path, tiny_gguf_keys(config), plan, [&](const gguf::GgufTensor& tensor, const auto& append) {
    std::vector<std::byte> bytes(tensor.bytes);
    gguf::encode_rows(
        tensor.type,
        {.values = values.at(tensor.name), .length = static_cast<std::int64_t>(tensor.ne[0]), .importance = {}}, bytes);
    append(bytes);
  });
}

}  // namespace nkat::testing
