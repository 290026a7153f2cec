// y = x W^T with a frozen W in 8 bits, and its derivative, from one copy of W.
//
//   W = diag(s) Q diag(c), Q int8, s = max |row of W / c| / 127     (an entry is at most s c / 2 off)
//   y  = ((x c)_q Q^T) s_x s         x by rows, one scale a token
//   dx = ((dy s)_q Q) s_dy c         s folded into dy first: then the sum over rows needs no scale
//
// The products are exact in int32. x and dy are rounded in one term, a step of 1/127 of a row's largest
// entry, or in two, whose step is 1/254 of that and which cost a second product: for inputs with a few large channels,
// beside which one term rounds the others away. A token's result depends on that token alone, and its bits on no number
// of threads. Backward keeps W and nothing else. x and dy: float32 or bfloat16; y has their type. Units: rows N =
// output channels, columns K = input channels, T tokens. Errors: ShapeError, DeviceError of a wrong argument;
// ShapeError of a matrix whose sizes are no multiples of eight (what CUDA's product asks for) or above 131,072 (where a
// sum could leave int32). int8_gemm.h says how the sums are taken. dx needs Q by columns: each tile is transposed for the
// call, N x 1,024 bytes on a CPU, N x 4,096 on a GPU. None of it has ever run on a GPU.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// Terms that the product's input is rounded in, 1 or 2.
struct Int8Passes {
  std::int64_t input = 1;     // x
  std::int64_t gradient = 1;  // dy
};

struct Int8Matrix {
  at::Tensor values;          // (N, K) int8
  at::Tensor scales;          // (N) float32
  at::Tensor channel_scales;  // (K) float32: c
  Int8Passes terms;
};

// Column scales are ones; others (channel_scales.h) are to be there before the rows are.
Int8Matrix empty_int8_matrix(std::int64_t rows, std::int64_t columns, at::Device device, Int8Passes terms);
// rows (n, K) of any floating type, on the matrix's device, become the matrix's rows from first_row on.
void set_rows(Int8Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);

// x (T, K) -> (T, N); a derivative by x.
at::Tensor int8_linear(const at::Tensor& x, const Int8Matrix& matrix);
// dy (T, N) -> (T, K)
at::Tensor int8_linear_backward(const at::Tensor& dy, const Int8Matrix& matrix);

}  // namespace nkat::layers
