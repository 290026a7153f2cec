#include "export/gguf/phi3_tensors.h"

#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "export/merge/merged_weights.h"
#include "models/weights/checkpoint_tensors.h"

namespace nkat::exporting {
namespace {

std::uint64_t size(std::int64_t value) { return static_cast<std::uint64_t>(value); }

Phi3Tensor rope_factors(const char* name, const std::vector<double>& factors) {
  Phi3Tensor tensor{.name = name, .source = "", .ne = {factors.size()}};
  for (const double factor : factors) tensor.values.push_back(static_cast<float>(factor));
  return tensor;
}

void add_layer(const models::Phi3Config& config, std::int64_t layer, std::vector<Phi3Tensor>& tensors) {
  const std::uint64_t hidden = size(config.hidden_size), inner = size(config.intermediate_size);
  const auto add = [&](const char* name, const char* source, TensorRole role, std::vector<std::uint64_t> ne) {
    tensors.push_back({.name = fmt::format("blk.{}.{}.weight", layer, name),
                       .source = fmt::format("model.layers.{}.{}.weight", layer, source),
                       .role = role,
                       .layer = layer,
                       .ne = std::move(ne)});
  };
  add("attn_norm", "input_layernorm", TensorRole::kVector, {hidden});
  add("attn_qkv", "self_attn.qkv_proj", TensorRole::kQkv, {hidden, size(config.qkv_rows())});
  add("attn_output", "self_attn.o_proj", TensorRole::kAttentionOutput,
      {size(config.num_heads * config.head_dim), hidden});
  add("ffn_norm", "post_attention_layernorm", TensorRole::kVector, {hidden});
  add("ffn_up", "mlp.gate_up_proj", TensorRole::kUp, {hidden, 2 * inner});
  add("ffn_down", "mlp.down_proj", TensorRole::kDown, {inner, hidden});
}

}  // namespace

std::vector<Phi3Tensor> phi3_tensors(const models::Phi3Config& config) {
  const std::uint64_t hidden = size(config.hidden_size), vocabulary = size(config.vocab_size);
  std::vector<Phi3Tensor> tensors;
  if (!config.long_factor.empty()) {
    tensors.push_back(rope_factors("rope_factors_long.weight", config.long_factor));
    tensors.push_back(rope_factors("rope_factors_short.weight", config.short_factor));
  }
  tensors.push_back({.name = "token_embd.weight",
                     .source = models::kEmbeddingTensor,
                     .role = TensorRole::kEmbedding,
                     .ne = {hidden, vocabulary}});
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) add_layer(config, layer, tensors);
  tensors.push_back({.name = "output_norm.weight", .source = "model.norm.weight", .ne = {hidden}});
  tensors.push_back({.name = "output.weight",
                     .source = models::head_tensor(config),
                     .role = TensorRole::kOutput,
                     .ne = {hidden, vocabulary}});
  return tensors;
}

void require_expressible(const models::Phi3Config& config, const std::string& where) {
  const auto require = [&](bool condition, const std::string& required, const std::string& found) {
    if (condition) return;
    throw FormatError(fmt::format(
        "{}: a phi3 GGUF file needs {}, found {}; llama.cpp can't run this model, `--format hf` can still write it",
        where, required, found));
  };
  require(config.num_heads * config.head_dim == config.hidden_size, "num_attention_heads * head_dim = hidden_size",
          fmt::format("{} * {} and {}", config.num_heads, config.head_dim, config.hidden_size));
  for (const auto& [name, list] :
       {std::pair{"long_factor", config.long_factor.size()}, std::pair{"short_factor", config.short_factor.size()}}) {
    require(list == 0 || list == static_cast<std::size_t>(config.rotary_dim / 2),
            fmt::format("{} numbers in {}", config.rotary_dim / 2, name), fmt::format("{}", list));
  }
  require(config.sliding_window.value_or(0) <= std::numeric_limits<std::uint32_t>::max(), "a sliding_window below 2^32",
          fmt::format("{}", config.sliding_window.value_or(0)));
}

}  // namespace nkat::exporting
