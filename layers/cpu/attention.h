// Causal attention over packed sequences on the CPU, float32 inside. A head's keys and values are widened once and met
// by blocks of 128 queries, whose scores (128, keys so far) are all that exists of the (t, t) matrix. ATen's CPU
// attention takes two to four times as long at the lengths of training sequences. layers/attention.h is the interface.
// Parallel over heads, in the backward pass over key-value heads: more threads than these idle.
// The same bits on every run with the same shapes and number of threads.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::layers::cpu {

struct Attended {
  at::Tensor out;           // (T, heads head_dim), dtype of qkv, rounded once
  at::Tensor log_sum_exps;  // (heads, T) float32, of the scaled scores
};

// qkv (T, (heads + 2 kv heads) head_dim), contiguous, float32 or bfloat16; lengths sum to T.
Attended causal_attention(const at::Tensor& qkv, const std::vector<std::int64_t>& lengths, const HeadShape& heads);

// gradient of out -> gradient of qkv. With P = exp(S - lse), dP = dO Vᵀ, D = rowsum(dO O):
//   dV = Pᵀ dO,  dS = P (dP - D),  dQ = scale dS K,  dK = scale dSᵀ Q
at::Tensor causal_attention_backward(const at::Tensor& gradient, const at::Tensor& qkv, const Attended& attended,
                                     const std::vector<std::int64_t>& lengths, const HeadShape& heads);

}  // namespace nkat::layers::cpu
