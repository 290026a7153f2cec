// Channel scales c: W's columns are divided by them before W is quantized, and its input multiplied by them:
// W = W' diag(c), y = (x c) W'ᵀ, dx = (dy W') c.
//
//   c_k = root mean square of column k, over rows each divided by its own root mean square; 1 for a column of zeros
//
// Why: one scale per row, or per block of it, gives every column the same absolute error. A column beside larger ones,
// because the input channel that it reads is as much larger, would lose most of its digits, and that channel would
// multiply the error. With c every column has the same relative error; c itself rounds in float32 alone.
// SmoothQuant (Xiao et al., 2023) moves the same factor the other way, from inputs to weights.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// rows (n, K) of a matrix, of any floating type: all, or a sample -> (K) float32 on their device.
// Errors: ShapeError. NaN or infinity in the rows gives scales that are not finite.
at::Tensor channel_scales(const at::Tensor& rows);

}  // namespace nkat::layers
