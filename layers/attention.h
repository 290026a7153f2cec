// Causal grouped-query attention over packed sequences, and over a key-value cache.
// Scale head_dim^-0.5; softmax in float32; key-value head j serves query heads j G .. j G + G-1, G = heads / kv heads.
// Implementations: on a GPU in bfloat16 or float16 one call for all sequences (flash_attention.h); on a CPU in float32
// or bfloat16 without a sliding window cpu/attention.h; else ATen's fused attention, sequence by sequence.
// Saved for backward: q, k, v (views of qkv), the output, a log-sum-exp per row and head.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/flash_attention.h"
#include "layers/rope.h"

namespace nkat::layers {

// The sequences of a packed batch, one after the other. Positions restart at 0 in each.
struct PackedSequences {
  std::vector<std::int64_t> lengths;  // they sum to T
  RopeAngles angles;                  // (T, rotary_dim / 2)
  std::vector<at::Tensor> masks;  // (t, t) per sequence: bool, or what is added to scores; undefined: causal, no window
  FlashSequences flash = {};      // if cu_seqlens is defined: all sequences in one call, without masks
};

// (length, length) bool: query i sees keys j with i - window < j <= i. Undefined if that is plain causal.
at::Tensor sliding_window_mask(std::int64_t length, std::optional<std::int64_t> window, at::Device device);

// Fills in what causal_attention needs for activations of this type and device: masks, or cumulative lengths.
void prepare_attention(PackedSequences& layout, std::optional<std::int64_t> window, const HeadShape& heads,
                       const at::TensorOptions& activations);

// qkv (T, (heads + 2 kv heads) head_dim), rotated -> (T, heads head_dim)
at::Tensor causal_attention(const at::Tensor& qkv, const PackedSequences& layout, const HeadShape& heads);

// The last n rows of a sequence against its keys so far. Of qkv (n, (heads + 2 kv heads) head_dim) only the queries are
// read; keys and values (S, kv heads, head_dim) include these rows' own -> (n, heads head_dim)
at::Tensor cached_attention(const at::Tensor& qkv, const at::Tensor& keys, const at::Tensor& values,
                            const HeadShape& heads, std::optional<std::int64_t> window);

}  // namespace nkat::layers
