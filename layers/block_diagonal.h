// The adapter's map on the hidden channels, fused with the residual addition: y = residual + M h, where block b of 8
// consecutive channels is multiplied by M_b = I + g R_b (mathematics.md 2).
// When to use: after down_proj of a layer with an adapter, in place of the residual addition.
// Products and sums are float32 (float64 for float64 x) and y is rounded once, after the addition; M is never rounded.
// Autograd: d_residual = dy, dh = M^T dy rounded once, dM_b = sum_t dy_b h_b^T; only h and M are kept, and h only
// if M needs a gradient. No second derivative.
// Promise: sums over tokens run in an order that T alone fixes: equal bits on every run, whatever the thread count.
// Shapes: T tokens, H = 8 N channels. CPU (here) or CUDA (layers/kernels/). Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// residual, h (T, H) float32 | bfloat16 | float64, of one dtype; blocks M (N, 8, 8) float32, or float64 for float64 x
// -> (T, H), dtype of h.
at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& blocks);

}  // namespace nkat::layers
