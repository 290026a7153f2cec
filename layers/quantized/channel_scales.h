// One factor a column that a matrix is divided by before it is held in few bits, and its input multiplied by:
// W = W' diag(c), y = (x c) W'^T, dx = (dy W') c.
//
//   c_k = root mean square of column k, of rows each divided by its own root mean square; 1 for a column of zeros
//
// Why: a scale of a row, or of a block of it, gives every column the same absolute error. A column that stands beside
// larger ones, because the input channel that it reads is as much larger, would lose most of its digits, and that
// channel would multiply the error. With c every column has the same relative error; c itself rounds nothing but in
// float32. SmoothQuant (Xiao et al., 2023) moves the same factor the other way, from inputs to weights.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// rows (n, K) of a matrix, of any floating type: all, or enough to judge its columns by. -> (K) float32 on their
// device. Errors: ShapeError. Rows that are not finite leave scales that are not finite.
at::Tensor channel_scales(const at::Tensor& rows);

}  // namespace nkat::layers
