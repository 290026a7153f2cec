// A tape over a chain of layers: each layer's graph is kept for the backward pass, or dropped and built again there.
// Layer by layer rather than one autograd graph, so that the choice is a number and each graph is freed as soon as it
// was used. Recomputing runs the same operations on the same input: on a CPU the gradients are equal bit for bit.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// Output (T, H) of layer `index` for input x (T, H); records autograd when gradients are enabled.
using LayerFunction = std::function<at::Tensor(std::int64_t index, const at::Tensor& x)>;

class CheckpointedLayers {
 public:
  // Layers below `first_trained` run without autograd. Of the others `recomputed` keep only their input: from the
  // second lowest up, the lowest last, since it keeps little anyway.
  CheckpointedLayers(std::int64_t num_layers, std::int64_t first_trained, std::int64_t recomputed, LayerFunction layer);

  // x (T, H) of the embedding to (T, H) of the last layer, detached.
  at::Tensor forward(at::Tensor x);
  // gradient (T, H) of the last output; accumulates into every leaf that the layers used. Consumes the tape.
  void backward(at::Tensor gradient);

 private:
  bool is_recomputed(std::int64_t index) const;

  struct Kept {
    std::int64_t index = 0;
    at::Tensor input;   // (T, H) leaf
    at::Tensor output;  // (T, H), undefined: to be computed again
  };

  std::int64_t num_layers_;
  std::int64_t first_trained_;
  std::int64_t recomputed_;
  LayerFunction layer_;
  std::vector<Kept> kept_;
};

}  // namespace nkat::layers
