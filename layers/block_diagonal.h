// The adapter's map on the hidden channels, fused with the residual addition:
//
//   y = residual + M h,  block b of 8 consecutive channels multiplied by M_b = I + g R_b   (layers/MATHEMATICS.md 2)
//   d residual = dy,  dh = Mᵀ dy,  dM_b = Σ_t dy_b h_bᵀ
//
// When to use: after down_proj of a layer with an adapter, in place of the residual addition.
// Products and sums are float32 (float64 for float64 h); y and dh are rounded once, M never. No second derivative.
// Saved for backward: M, and h if M needs a gradient.
// Determinism: sums over tokens run in an order that T alone fixes: the same bits on every run and for every number of
// threads.
// Shapes: T tokens, H = 8 N channels. CPU or CUDA. Errors: ShapeError, DeviceError.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// residual, h (T, H) float32 | bfloat16 | float64, of one dtype; matrices M (N, 8, 8) float32, or float64 for float64 h
// -> (T, H), dtype of h.
at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices);

}  // namespace nkat::layers
