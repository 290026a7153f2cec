// The CPU path of the block rotation, and the reference of its CUDA kernels; layers/block_diagonal.h is the interface.
// Called with checked, contiguous CPU tensors; outputs are overwritten. Shapes and dtypes as in
// layers/block_diagonal.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers::cpu {

// residual, h (T, H), blocks (N, 8, 8) -> out (T, H)
void add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& blocks,
                        const at::Tensor& out);

// gradient = dy, h (T, H), blocks (N, 8, 8) -> h_gradient (T, H) and blocks_gradient (N, 8, 8); either may be
// undefined. h may be undefined where blocks_gradient is.
struct BackwardTensors {
  const at::Tensor& gradient;
  const at::Tensor& h;
  const at::Tensor& blocks;
  const at::Tensor& h_gradient;
  const at::Tensor& blocks_gradient;
};
void block_diagonal_backward(const BackwardTensors& tensors);

}  // namespace nkat::layers::cpu
