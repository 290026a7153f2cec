// Causal attention over packed samples in one call: variable-length flash attention (Dao 2023), as LibTorch ships it.
// When to use: layers/attention.h is the interface; it comes here for bfloat16 and float16 on a GPU.
// Keeps for backward: qkv (q, k and v are views of it), the output and a log-sum-exp a row and head.
// Determinism: the forward pass gives the same bits on every run. The backward pass adds dq in any order, unless the
// process asked for deterministic algorithms (at::Context::setDeterministicAlgorithms).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::layers {

// All samples of a packed batch, as the kernel wants them.
struct FlashSequences {
  at::Tensor starts = {};                   // (S + 1) int32 on the device: where each sample begins, and T
  std::int64_t longest = 0;                 // tokens of the longest sample
  std::optional<std::int64_t> window = {};  // query i sees keys j with i - window < j <= i
};

// Head dimensions up to 192 in steps of 8 (beyond it some cards have no backward kernel), and a sample of two tokens or
// more (with one token a sample the kernel lays its log-sum-exps out in another way).
bool has_flash_attention(const at::TensorOptions& activations, const HeadShape& heads,
                         const std::vector<std::int64_t>& lengths);

// Copies the starts to the device: once a batch, not once a layer.
FlashSequences flash_samples(const std::vector<std::int64_t>& lengths, std::optional<std::int64_t> window,
                             at::Device device);

// qkv (T, (heads + 2 kv heads) head_dim), rotated and contiguous -> (T, heads head_dim)
at::Tensor flash_attention(const at::Tensor& qkv, const FlashSequences& samples, const HeadShape& heads);

}  // namespace nkat::layers
