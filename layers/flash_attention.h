// Causal attention over packed sequences in one call: LibTorch's variable-length flash attention (Dao 2023).
// When to use: through attention.h, which chooses it for bfloat16 and float16 on a GPU.
// Saved for backward: qkv (q, k and v are views of it), the output, a log-sum-exp per row and head.
// Determinism: the forward pass gives the same bits on every run. The backward pass adds dq in any order, unless the
// process asked for deterministic algorithms (at::Context::setDeterministicAlgorithms).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::layers {

// The sequences of a packed batch, as the kernel takes them.
struct FlashSequences {
  at::Tensor cu_seqlens = {};               // (S + 1) int32 on the device: cumulative lengths, 0 .. T
  std::int64_t longest = 0;                 // tokens of the longest sequence
  std::optional<std::int64_t> window = {};  // query i sees keys j with i - window < j <= i
};

// True for head dimensions up to 192 in steps of 8 (beyond, some GPUs have no backward kernel) and a sequence of two
// tokens or more (with one token per sequence the kernel lays its log-sum-exps out differently).
bool has_flash_attention(const at::TensorOptions& activations, const HeadShape& heads,
                         const std::vector<std::int64_t>& lengths);

// Copies the cumulative lengths to the device: once per batch, not once per layer.
FlashSequences flash_sequences(const std::vector<std::int64_t>& lengths, std::optional<std::int64_t> window,
                               at::Device device);

// qkv (T, (heads + 2 kv heads) head_dim), rotated and contiguous -> (T, heads head_dim)
at::Tensor flash_attention(const at::Tensor& qkv, const FlashSequences& sequences, const HeadShape& heads);

}  // namespace nkat::layers
