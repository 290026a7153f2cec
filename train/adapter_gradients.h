// What the adapter does once an optimizer step (docs: the adapter's mathematics, 1-4): R = exp(A), the triality loss
// and M = I + σR before the window's micro-batches; the chain rule from dL/dM to W and α after them. Exact, because α
// and R are constant inside a window.
//
// Shapes: A layers with an adapter, N blocks, L layers of the model.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "models/adapter.h"
#include "train/optimizer.h"
#include "train/train_config.h"

namespace nkat::train {

// Sum over the window's micro-batches of dL_LM/dM, one (N, 8, 8) float32 a layer with an adapter.
using AdapterMatrixGradients = std::vector<at::Tensor>;

class AdapterGradients {
 public:
  AdapterGradients(const models::Adapter& adapter, at::Device device);

  // M on the device, by layer of the model; undefined below the first adapter layer. Leaves that take gradients.
  const std::vector<at::Tensor>& blocks() const { return blocks_; }
  // Mean over the adapter's layers, unweighted.
  double triality() const { return triality_; }
  // Takes what the micro-batches added to the leaves' gradients, and empties them.
  AdapterMatrixGradients collect_gradients();

  struct Result {
    AdapterGradient gradient;        // of L_LM + λ L_triality
    std::vector<double> gate_force;  // f = -dL_LM/dσ = -<dM, R>, one a layer with an adapter
  };
  Result backward(const AdapterMatrixGradients& block_gradients, double triality_weight, Control control) const;

 private:
  const models::Adapter& adapter_;
  std::vector<double> gates_;
  at::Tensor rotations_;  // (A, N, 8, 8)
  std::vector<at::Tensor> blocks_;
  double triality_ = 0.0;
};

}  // namespace nkat::train
