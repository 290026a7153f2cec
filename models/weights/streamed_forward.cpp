#include "models/weights/streamed_forward.h"

#include <algorithm>

#include "core/signals.h"
#include "layers/linear.h"
#include "layers/rms_norm.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kHeadRows = 4096;

at::Tensor read_tensor(const StreamedModel& model, const TensorSpec& tensor) {
  at::Tensor values = at::empty(tensor.shape, at::kFloat);
  std::span<float> rest(values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  for (const TensorSpec& part : tensor.stored()) {
    const std::size_t count = part.matrix().elements();
    model.weights.read(part.name, 0, rest.first(count));
    model.weights.release(part.name);
    rest = rest.subspan(count);
  }
  return values;
}

LayerWeights read_layer(const StreamedModel& model, const std::vector<TensorSpec>& tensors) {
  LayerWeights layer;
  for (const TensorSpec& tensor : tensors) {
    if (tensor.kind == TensorKind::kBias) {
      layer.matrix(tensor.role).set_bias(read_tensor(model, tensor));
    } else if (tensor.is_layer_matrix()) {
      layer.matrix(tensor.role) = read_tensor(model, tensor);
    } else {
      layer.norm(tensor.role) = read_tensor(model, tensor);
    }
  }
  return layer;
}

at::Tensor embed(const StreamedModel& model, const TensorSpec& embedding, const at::Tensor& tokens) {
  const std::int64_t hidden = model.config.hidden_size;
  at::Tensor x = at::empty({tokens.size(0), hidden}, at::kFloat);
  const std::span values(x.mutable_data_ptr<float>(), static_cast<std::size_t>(x.numel()));
  const std::size_t width = static_cast<std::size_t>(hidden);
  for (std::int64_t i = 0; i < tokens.size(0); ++i) {
    const auto row = static_cast<std::size_t>(tokens[i].item<std::int64_t>());
    model.weights.read(embedding.name, row, values.subspan(static_cast<std::size_t>(i) * width, width));
  }
  return x;
}

// A decoder of this one layer.
Decoder one_layer(const StreamedModel& model, const std::vector<TensorSpec>& tensors) {
  ModelConfig config = model.config;
  config.num_layers = 1;
  Weights weights;
  weights.embedding = at::empty({0, config.hidden_size}, at::kFloat);
  weights.layers.push_back(read_layer(model, tensors));
  return {std::move(config), std::move(weights)};
}

// Tells the observer a matrix by its names instead of its address.
InputObserver by_name(const MatrixObserver& observe, const LayerWeights& layer,
                      const std::vector<TensorSpec>& tensors) {
  return [&](const layers::Weight& weight, const at::Tensor& input) {
    for (const TensorSpec& tensor : tensors) {
      if (!tensor.is_layer_matrix() || &layer.matrix(tensor.role) != &weight) continue;
      for (const TensorSpec& part : tensor.stored()) observe(part.name, input);
    }
  };
}

}  // namespace

std::vector<at::Tensor> streamed_hidden(const StreamedModel& model, const std::vector<PackedBatch>& batches,
                                        const MatrixObserver& observe,
                                        const std::function<void(std::int64_t layer)>& done) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> states;
  const TensorSpec embedding = model_tensor(model.config, TensorRole::kEmbedding);
  for (const PackedBatch& batch : batches) states.push_back(embed(model, embedding, batch.tokens));
  model.weights.release(embedding.name);
  for (std::int64_t index = 0; index < model.config.num_layers; ++index) {
    throw_if_stop_requested();
    const std::vector<TensorSpec> tensors = layer_tensors(model.config, index);
    Decoder layer = one_layer(model, tensors);
    if (observe) layer.observe_inputs(by_name(observe, layer.layer_weights(0), tensors));
    const at::Tensor adapter = model.adapter.empty() ? at::Tensor() : model.adapter[static_cast<std::size_t>(index)];
    for (std::size_t i = 0; i < batches.size(); ++i) {
      states[i] = layer.layer(0, states[i], layer.layout(batches[i].lengths), adapter);
    }
    if (done) done(index);
  }
  const at::Tensor norm = read_tensor(model, model_tensor(model.config, TensorRole::kFinalNorm));
  for (at::Tensor& x : states) x = layers::rms_norm(x, norm, model.config.rms_norm_eps);
  return states;
}

at::Tensor streamed_logits(const StreamedModel& model, const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  const std::string name = model_tensor(model.config, TensorRole::kHead).name;
  at::Tensor logits = at::empty({hidden.size(0), model.config.vocab_size}, at::kFloat);
  at::Tensor rows = at::empty({std::min(kHeadRows, model.config.vocab_size), model.config.hidden_size}, at::kFloat);
  for (std::int64_t first = 0; first < model.config.vocab_size; first += kHeadRows) {
    throw_if_stop_requested();
    const at::Tensor piece = rows.narrow(0, 0, std::min(kHeadRows, model.config.vocab_size - first));
    model.weights.read(name, static_cast<std::size_t>(first),
                       {piece.mutable_data_ptr<float>(), static_cast<std::size_t>(piece.numel())});
    logits.narrow(1, first, piece.size(0)).copy_(layers::linear(hidden, piece));
  }
  model.weights.release(name);
  return logits;
}

}  // namespace nkat::models
