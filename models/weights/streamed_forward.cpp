#include "models/weights/streamed_forward.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/signals.h"
#include "layers/linear.h"
#include "layers/rms_norm.h"
#include "models/weights/checkpoint_tensors.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kHeadRows = 4096;

at::Tensor read_tensor(const StreamedModel& model, const std::string& name, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  model.read(name, 0, {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())});
  return tensor;
}

LayerWeights read_layer(const StreamedModel& model, const std::string& prefix) {
  const Phi3Config& config = model.config;
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const auto read = [&](const char* name, at::IntArrayRef shape) {
    return read_tensor(model, fmt::format("{}{}.weight", prefix, name), shape);
  };
  return {.input_norm = read("input_layernorm", {hidden}),
          .qkv = read("self_attn.qkv_proj", {config.qkv_rows(), hidden}),
          .attention_output = read("self_attn.o_proj", {hidden, config.num_heads * config.head_dim}),
          .post_attention_norm = read("post_attention_layernorm", {hidden}),
          .gate_up = read("mlp.gate_up_proj", {2 * inner, hidden}),
          .down = read("mlp.down_proj", {hidden, inner})};
}

at::Tensor embed(const StreamedModel& model, const at::Tensor& tokens) {
  const std::int64_t hidden = model.config.hidden_size;
  at::Tensor x = at::empty({tokens.size(0), hidden}, at::kFloat);
  const std::span values(x.mutable_data_ptr<float>(), static_cast<std::size_t>(x.numel()));
  const std::size_t width = static_cast<std::size_t>(hidden);
  for (std::int64_t i = 0; i < tokens.size(0); ++i) {
    const auto row = static_cast<std::size_t>(tokens[i].item<std::int64_t>());
    model.read(kEmbeddingTensor, row, values.subspan(static_cast<std::size_t>(i) * width, width));
  }
  return x;
}

// One layer of the model as a decoder of its own.
Decoder one_layer(const StreamedModel& model, const std::string& prefix) {
  Phi3Config config = model.config;
  config.num_layers = 1;
  Weights weights;
  weights.embedding = at::empty({0, config.hidden_size}, at::kFloat);
  weights.layers.push_back(read_layer(model, prefix));
  return {std::move(config), std::move(weights)};
}

InputObserver named(const MatrixObserver& observe, const LayerWeights& weights, const std::string& prefix) {
  return [&, prefix](const layers::Weight& weight, const at::Tensor& input) {
    const char* name = &weight == &weights.qkv                ? "self_attn.qkv_proj"
                       : &weight == &weights.attention_output ? "self_attn.o_proj"
                       : &weight == &weights.gate_up          ? "mlp.gate_up_proj"
                                                              : "mlp.down_proj";
    observe(fmt::format("{}{}.weight", prefix, name), input);
  };
}

}  // namespace

std::vector<at::Tensor> streamed_hidden(const StreamedModel& model, const std::vector<PackedBatch>& batches,
                                        const MatrixObserver& observe,
                                        const std::function<void(std::int64_t layer)>& done) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> states;
  for (const PackedBatch& batch : batches) states.push_back(embed(model, batch.tokens));
  for (std::int64_t index = 0; index < model.config.num_layers; ++index) {
    throw_if_stop_requested();
    const std::string prefix = fmt::format("model.layers.{}.", index);
    Decoder layer = one_layer(model, prefix);
    if (observe) layer.observe_inputs(named(observe, layer.layer_weights(0), prefix));
    const at::Tensor blocks = model.blocks.empty() ? at::Tensor() : model.blocks[static_cast<std::size_t>(index)];
    for (std::size_t i = 0; i < batches.size(); ++i) {
      states[i] = layer.layer(0, states[i], layer.layout(batches[i].lengths), blocks);
    }
    if (done) done(index);
  }
  const at::Tensor norm = read_tensor(model, "model.norm.weight", {model.config.hidden_size});
  for (at::Tensor& x : states) x = layers::rms_norm(x, norm, model.config.rms_norm_eps);
  return states;
}

at::Tensor streamed_logits(const StreamedModel& model, const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  const std::string name = head_tensor(model.config);
  at::Tensor logits = at::empty({hidden.size(0), model.config.vocab_size}, at::kFloat);
  at::Tensor rows = at::empty({std::min(kHeadRows, model.config.vocab_size), model.config.hidden_size}, at::kFloat);
  for (std::int64_t first = 0; first < model.config.vocab_size; first += kHeadRows) {
    throw_if_stop_requested();
    const at::Tensor piece = rows.narrow(0, 0, std::min(kHeadRows, model.config.vocab_size - first));
    model.read(name, static_cast<std::size_t>(first),
               {piece.mutable_data_ptr<float>(), static_cast<std::size_t>(piece.numel())});
    logits.narrow(1, first, piece.size(0)).copy_(layers::linear(hidden, piece));
  }
  return logits;
}

}  // namespace nkat::models
