// The gate of a layer and the matrix it makes of each rotation: h_out = h + g R h = M h, M = I + g R (mathematics.md
// 2). When to use: once a step per layer forward (R and alpha are constant inside a window), once a window backward. g
// is carried in double; M keeps the rotation's dtype and is rounded once, never to BF16. Shapes: N blocks of 8
// channels. Errors: ShapeError names the tensor, the expected tuple and the sizes found.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// sigma(alpha), in (0, 1).
double gate(double alpha);

// sigma'(alpha) = g (1 - g), as a function of g: dL/dalpha = sigmoid_derivative(g) * dL/dg.
double sigmoid_derivative(double gate);

// rotation (N, 8, 8) float32 | float64 -> M = I + g R (N, 8, 8), same dtype and device.
at::Tensor adapter_matrix(double gate, const at::Tensor& rotation);

struct GateGradient {
  at::Tensor rotation;  // (N, 8, 8) dL/dR = g dM, dtype of the rotation
  double gate;          // dL/dg = <dM, R>, summed in double
};

// rotation, blocks_gradient = dL/dM: both (N, 8, 8), the same dtype and device.
GateGradient adapter_matrix_backward(double gate, const at::Tensor& rotation, const at::Tensor& blocks_gradient);

}  // namespace nkat::layers
