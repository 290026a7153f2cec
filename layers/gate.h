// The matrix that a gate makes of each rotation, M = I + g R with g = σ(α), so that h_out = h + g R h = M h
// (layers/MATHEMATICS.md 2).
// When to use: once per optimizer step and layer, forward and backward; R and α are constant within a step.
// g is a double; M has the rotation's dtype, rounded once, never to bfloat16.
// Shapes: N blocks of 8 channels. Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

#include "layers/sigmoid.h"

namespace nkat::layers {

// rotation R (N, 8, 8) float32 | float64 -> M (N, 8, 8), same dtype and device.
at::Tensor adapter_matrix(double gate, const at::Tensor& rotation);

struct GateGradient {
  at::Tensor rotation;  // dL/dR = g dM (N, 8, 8), dtype of the rotation
  double gate;          // dL/dg = <dM, R>, summed in double
};

// rotation, matrix_gradient = dL/dM (N, 8, 8), the same dtype and device.
GateGradient adapter_matrix_backward(double gate, const at::Tensor& rotation, const at::Tensor& matrix_gradient);

}  // namespace nkat::layers
