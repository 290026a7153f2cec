// y = x Wᵀ with a frozen W in 8 bits, and its derivative, from one copy of W
// (layers/MATHEMATICS.md 11).
//
//   W  = diag(s) Q diag(c)          Q int8, s = max |row of W / c| / 127; an entry is off by at most s c / 2
//   y  = ((x c)_q Qᵀ) s_x s         x is quantized per token
//   dx = ((dy s)_q Q) s_dy c        s is folded into dy first, so that the sum over rows needs no scale
//
// x and dy are quantized in one pass, in steps of 1/127 of a row's largest entry, or in two, in steps of 1/254 of that
// (int8_rows.h). The second pass costs a second product and serves inputs with a few large channels. A token's result
// depends on that token alone, and its bits not on the number of threads.
// x and dy are float32 or bfloat16, y has their type. Saved for backward: W. Temporary in backward: Q's tiles by
// columns, N x 1,024 bytes on a CPU, N x 4,096 on a GPU. Never run on a GPU.
// Shapes: N output channels, K input channels, T tokens.
// Errors: ShapeError, DeviceError of a wrong argument; ShapeError of a matrix with a side that is no multiple of 8
// (what CUDA's product needs) or above 131,072 (where a sum could leave int32).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// In how many passes, 1 or 2, a product's input is quantized.
struct Int8Passes {
  std::int64_t input = 1;     // x
  std::int64_t gradient = 1;  // dy
};

struct Int8Matrix {
  at::Tensor values;          // Q (N, K) int8
  at::Tensor scales;          // s (N) float32
  at::Tensor channel_scales;  // c (K) float32
  Int8Passes passes;
};

// Channel scales are ones; set others (channel_scales.h) before the rows.
Int8Matrix empty_int8_matrix(std::int64_t rows, std::int64_t columns, at::Device device, Int8Passes passes);
// Quantizes rows (n, K), of any floating type and on the matrix's device, into rows first_row .. of the matrix.
void set_rows(Int8Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);

// x (T, K) -> (T, N); differentiable in x.
at::Tensor int8_linear(const at::Tensor& x, const Int8Matrix& matrix);
// dy (T, N) -> (T, K)
at::Tensor int8_linear_backward(const at::Tensor& dy, const Int8Matrix& matrix);

}  // namespace nkat::layers
