#include "layers/activation_checkpointing.h"

#include "core/error.h"

namespace nkat::layers {

CheckpointedLayers::CheckpointedLayers(std::int64_t num_layers, std::int64_t first_trained, std::int64_t recomputed,
                                       LayerFunction layer)
    : num_layers_(num_layers), first_trained_(first_trained), recomputed_(recomputed), layer_(std::move(layer)) {}

bool CheckpointedLayers::is_recomputed(std::int64_t index) const {
  const std::int64_t place = index - first_trained_;
  return recomputed_ >= num_layers_ - first_trained_ || (place >= 1 && place <= recomputed_);
}

at::Tensor CheckpointedLayers::forward(at::Tensor x) {
  saved_.clear();
  for (std::int64_t index = 0; index < num_layers_; ++index) {
    if (index < first_trained_) {
      const at::NoGradGuard no_grad;
      x = layer_(index, x);
      continue;
    }
    // No layer below the first adapter needs a gradient, so its input is no leaf.
    const at::Tensor input = x.detach().requires_grad_(index > first_trained_);
    if (is_recomputed(index)) {
      const at::NoGradGuard no_grad;
      x = layer_(index, input);
      saved_.push_back({index, input, {}});
    } else {
      const at::AutoGradMode with_grad(true);
      const at::Tensor output = layer_(index, input);
      x = output.detach();
      saved_.push_back({index, input, output});
    }
  }
  return x;
}

void CheckpointedLayers::backward(at::Tensor gradient) {
  NKAT_INVARIANT(!saved_.empty());
  while (!saved_.empty()) {
    Saved segment = std::move(saved_.back());
    saved_.pop_back();
    if (!segment.output.defined()) {
      const at::AutoGradMode with_grad(true);
      segment.output = layer_(segment.index, segment.input);
    }
    torch::autograd::backward({segment.output}, {gradient});
    gradient = segment.input.grad();
  }
}

}  // namespace nkat::layers
