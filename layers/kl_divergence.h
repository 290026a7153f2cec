// KL divergence between two models' next-token distributions, row by row, from both hidden states; logits exist for one
// chunk of rows at a time (layers/MATHEMATICS.md 10).
//
//   p = softmax(x Wᵀ), q = softmax(y Wᵀ);  KL(p||q) = Σ_v p_v (log p_v - log q_v)   in nats
//
// Logits have the rows' dtype, everything after them is float64: for nearly equal p and q float32 would leave only
// rounding (1e-7, against a KL of the order of the change squared).
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

inline constexpr std::int64_t kKlDivergenceRows = 64;

// x, y (R, H) of one dtype, head_weight (V, H) -> (R) float64, negative by rounding at most. Records no autograd.
at::Tensor kl_divergence(const at::Tensor& x, const at::Tensor& y, const at::Tensor& head_weight,
                         std::int64_t chunk_rows = kKlDivergenceRows);

}  // namespace nkat::layers
