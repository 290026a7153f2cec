// Activation checkpointing of a chain of layers: each layer keeps its autograd graph for the backward pass, or its
// input alone and recomputes the graph there.
// Layer by layer rather than as one autograd graph, so that the number of recomputed layers is free and each graph is
// released as soon as it was used. Recomputing runs the same operations on the same input: on a CPU the gradients are
// equal bit for bit.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// Output (T, H) of layer `index` for input x (T, H); records autograd when gradients are enabled.
using LayerFunction = std::function<at::Tensor(std::int64_t index, const at::Tensor& x)>;

class CheckpointedLayers {
 public:
  // Layers below `first_trained` run without autograd. `recomputed` of the others keep their input alone: those from
  // the second lowest up, and the lowest last, which saves little.
  CheckpointedLayers(std::int64_t num_layers, std::int64_t first_trained, std::int64_t recomputed, LayerFunction layer);

  // x (T, H), the embedding -> (T, H), the last layer's output, detached.
  at::Tensor forward(at::Tensor x);
  // gradient (T, H) of the last output; accumulates into every leaf that the layers used. Once per forward.
  void backward(at::Tensor gradient);

 private:
  bool is_recomputed(std::int64_t index) const;

  struct Saved {
    std::int64_t index = 0;
    at::Tensor input;   // (T, H) leaf
    at::Tensor output;  // (T, H) with its graph; undefined if recomputed
  };

  std::int64_t num_layers_;
  std::int64_t first_trained_;
  std::int64_t recomputed_;
  LayerFunction layer_;
  std::vector<Saved> saved_;
};

}  // namespace nkat::layers
