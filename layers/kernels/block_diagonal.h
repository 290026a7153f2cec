// Launchers of the block rotation's CUDA kernels; layers/block_diagonal.h is the interface to use, and its CPU path the
// reference. Called with checked, contiguous tensors on one CUDA device.
// Shapes: T tokens, H = 8 N channels. x is float32, bfloat16 or float64; blocks are float32, or float64 for float64 x.
// Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

namespace nkat::layers::kernels {

// residual, h (T, H), blocks (N, 8, 8) -> residual + M h (T, H), products and sums in the blocks' dtype, rounded once.
at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& blocks);

struct BlockDiagonalGradient {
  at::Tensor h;       // (T, H) M^T dy, or undefined
  at::Tensor blocks;  // (N, 8, 8) sum_t dy_b h_b^T, or undefined
};

// gradient = dy, h (T, H); h may be undefined where dM is not needed. needs = {dh, dM}; what is not needed stays
// undefined.
BlockDiagonalGradient block_diagonal_backward(const at::Tensor& gradient, const at::Tensor& h, const at::Tensor& blocks,
                                              std::array<bool, 2> needs);

}  // namespace nkat::layers::kernels
