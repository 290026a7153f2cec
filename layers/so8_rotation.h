// The rotation of each block, R = exp((W - Wᵀ)/2) in SO(8), and its derivative (layers/MATHEMATICS.md 1).
// When to use: once per optimizer step, for every block of every layer; R is constant within a step.
// Method: Taylor polynomial of degree 18 after scaling to 1-norm <= 1, then squaring, in float64, rounded once; the
// derivative differentiates the same recurrences (Al-Mohy, Higham 2009). NaN or infinity in gives NaN out.
// Not at::linalg_matrix_exp: it multiplies blocks of similar norm as one batch, so a block's bits may depend on the
// others; its derivative is the exp of (16, 16) matrices; on a GPU it waits for the norms. On a GPU this scales by a
// fixed 2^6 and never waits for the device (kernels/so8_rotation.cu).
// Determinism: a block's bits depend on that block alone, not on the number of threads.
// Shapes: (..., 8, 8) float32 | float64, on one device. Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// weight W (..., 8, 8) -> R (..., 8, 8), the same dtype.
at::Tensor so8_rotation(const at::Tensor& weight);

// weight W and rotation_gradient = dL/dR, both (..., 8, 8) -> dL/dW (..., 8, 8), skew, dtype of W:
// the skew part of the Fréchet derivative of exp at Aᵀ in the direction dL/dR, A = (W - Wᵀ)/2.
at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient);

}  // namespace nkat::layers
