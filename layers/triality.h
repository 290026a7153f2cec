// The triality loss of one layer (layers/MATHEMATICS.md 3). Blocks form triples (V, S+, S-) = (3k, 3k+1, 3k+2):
//
//   L = 1/K Σ_k 1/64 Σ_ij || R_v(e_i e_j) - R_s(e_i) R_c(e_j) ||²,   K = floor(N / 3)
//
// The 1 or 2 blocks left over are unconstrained; with N < 3 the loss and its gradient are 0.
// When to use: once per optimizer step. Computed in float64, differentiated by hand, rounded once.
// Determinism: triples are added in order; the bits do not depend on the number of threads.
// Shapes: rotation (N, 8, 8) float32 | float64 on the CPU. Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// rotation (N, 8, 8) -> loss (), the same dtype.
at::Tensor triality_loss(const at::Tensor& rotation);

// rotation (N, 8, 8) -> dL/dR (N, 8, 8), the same dtype.
at::Tensor triality_loss_backward(const at::Tensor& rotation);

}  // namespace nkat::layers
