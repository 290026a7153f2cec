// The adapter's part of an optimizer step: R = exp(A), the triality loss and M = I + sigma(alpha) R before the
// micro-batches, the chain rule from dL/dM to W and alpha after them. Exact, because R and alpha are constant within a
// step.
//
// Shapes: A layers with an adapter, N blocks, L layers of the model.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "models/adapter.h"
#include "train/optimizer.h"
#include "train/train_config.h"

namespace nkat::train {

// Sum over a step's micro-batches of dL_LM/dM: (N, 8, 8) float32 for each layer with an adapter.
using AdapterMatrixGradients = std::vector<at::Tensor>;

class AdapterGradients {
 public:
  // adapter outlives the object.
  AdapterGradients(const models::Adapter& adapter, at::Device device);

  // M on the device by layer of the model, undefined below the first adapter layer: leaves that take gradients.
  const std::vector<at::Tensor>& matrices() const { return matrices_; }
  // Mean over the adapter's layers, unweighted.
  double triality() const { return triality_; }
  // Takes what the micro-batches have added to the leaves' gradients, and empties them.
  AdapterMatrixGradients collect_gradients();

  struct Result {
    AdapterGradient gradient;        // of L_LM + lambda L_triality
    std::vector<double> gate_force;  // f = -dL_LM/dsigma = -<dM, R> for each layer with an adapter
  };
  Result backward(const AdapterMatrixGradients& matrix_gradients, double triality_weight, Control control) const;

 private:
  const models::Adapter& adapter_;
  std::vector<double> gates_;
  at::Tensor rotations_;  // (A, N, 8, 8)
  std::vector<at::Tensor> matrices_;
  double triality_ = 0.0;
};

}  // namespace nkat::train
