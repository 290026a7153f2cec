// The rotation of each block, R = exp((W - W^T)/2) in SO(8), and its derivative (mathematics.md 1).
// When to use: once an optimizer step for every block of every layer; R is constant inside an accumulation window.
// Method: Taylor polynomial of degree 18 after scaling to 1-norm <= 1, then squaring, in float64, rounded once; the
// derivative differentiates the same recurrences (Al-Mohy, Higham 2009). What is not finite in gives NaN out.
// Promise: a block's bits depend on that block alone, not on the number of threads.
// On a GPU: the same in float64 with six squarings throughout (kernels/so8_rotation.cu); it never waits for the device.
// Shapes: (..., 8, 8) float32 | float64, on one device. Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// weight W (..., 8, 8) -> R (..., 8, 8), the same dtype.
at::Tensor so8_rotation(const at::Tensor& weight);

// weight W and rotation_gradient = dL/dR, both (..., 8, 8) -> dL/dW (..., 8, 8), skew, dtype of W:
// the skew part of the Frechet derivative of exp at A^T in the direction dL/dR.
at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient);

}  // namespace nkat::layers
