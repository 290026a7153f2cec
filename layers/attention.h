// Causal attention with grouped queries over samples laid end to end, and over a key-value cache.
// Scale head_dim^-0.5; softmax in float32; key-value head j serves query heads j G .. j G + G-1, G = heads / kv heads.
// On a GPU in bfloat16 or float16 all samples go through one call (flash_attention.h), on a CPU in float32 or bfloat16
// and without a window through layers/cpu/attention.h; the others go through ATen's fused attention one by one. Each
// keeps for backward q, k, v (views of qkv), its output and a log-sum-exp a row and head.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/flash_attention.h"
#include "layers/rope.h"

namespace nkat::layers {

// Where samples begin and end in a packed batch, and their rotary angles. Positions restart at 0 in each sample.
struct PackedSequences {
  std::vector<std::int64_t> lengths;  // they sum to T
  RopeAngles angles;                  // (T, rotary_dim / 2)
  std::vector<at::Tensor> masks;      // a sample's (t, t) bool mask; undefined: causal, no window
  FlashSequences flash = {};          // with starts: all samples in one call, and no masks
};

// The (length, length) mask in which query i sees keys j with i - window < j <= i; undefined if that is plain causal.
at::Tensor sliding_window_mask(std::int64_t length, std::optional<std::int64_t> window, at::Device device);

// Adds what causal_attention needs for activations of this type and device: a window's masks, or the samples' starts.
void prepare_attention(PackedSequences& layout, std::optional<std::int64_t> window, const HeadShape& heads,
                       const at::TensorOptions& activations);

// qkv (T, (heads + 2 kv heads) head_dim), rotated -> (T, heads head_dim)
at::Tensor causal_attention(const at::Tensor& qkv, const PackedSequences& layout, const HeadShape& heads);

// The last n rows of a sequence against its keys so far: qkv (n, (heads + 2 kv heads) head_dim), of which the queries
// are used; keys and values (S, kv heads, head_dim), these rows' own included -> (n, heads head_dim)
at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& keys, const at::Tensor& values,
                            const HeadShape& heads, std::optional<std::int64_t> window);

}  // namespace nkat::layers
