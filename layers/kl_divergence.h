// How far one model's prediction is from another's, row by row, straight from the hidden states of both: logits exist
// for a chunk of rows at a time.
//
//   p = softmax(x Wᵀ), q = softmax(y Wᵀ);  KL(p||q) = Σ_v p_v (log p_v - log q_v)   in nats
//
// Logits have the dtype of the rows, what follows is float64: between two nearly equal predictions float32 would leave
// nothing but rounding (1e-7 of a difference that is of the order of the change squared).
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

inline constexpr std::int64_t kKlDivergenceRows = 64;

// x, y (R, H) of one dtype, head_weight (V, H) -> (R) float64, never negative but by rounding. No autograd is recorded.
at::Tensor kl_divergence(const at::Tensor& x, const at::Tensor& y, const at::Tensor& head_weight,
                         std::int64_t chunk_rows = kKlDivergenceRows);

}  // namespace nkat::layers
