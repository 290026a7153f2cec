// The keys and values of one sequence, kept so that a further token costs one row instead of the whole sequence.
//
//   CachedSequence sequence(decoder, blocks);
//   at::Tensor logits = sequence.next_logits(tokens);    // computes the rows that are not in the cache yet
//
// A call may pass any token list: what it shares at its beginning with the last call's is reused, the rest computed.
// When the list grows past original_max_position_embeddings all of it is computed again, with the long factors, since
// cached keys were turned by the short ones (transformers does the same). One object serves one sequence; a batch has
// several.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "models/decoder.h"

namespace nkat::models {

// Grows by doubling; bytes: 2 * layers * kv heads * head_dim * size of the type, a token.
class KvCache {
 public:
  KvCache(std::int64_t num_layers, const layers::HeadShape& heads, const at::TensorOptions& options);

  std::int64_t length() const { return length_; }
  // Keeps the first `length` positions.
  void truncate(std::int64_t length);
  // Writes the keys and values of qkv (n, (heads + 2 kv heads) head_dim), rotated, at positions length() ..
  // length()+n-1 of one layer. advance(n) then makes them part of the cache, once all layers are written.
  void write(std::int64_t layer, const at::Tensor& qkv);
  void advance(std::int64_t count);
  at::Tensor keys(std::int64_t layer, std::int64_t length) const;    // (length, kv heads, head_dim)
  at::Tensor values(std::int64_t layer, std::int64_t length) const;  // (length, kv heads, head_dim)

 private:
  at::Tensor with_room(const at::Tensor& store, std::int64_t needed) const;

  layers::HeadShape heads_;
  std::int64_t length_ = 0;
  std::vector<at::Tensor> stores_;  // a layer's (2, capacity, kv heads, head_dim)
};

class CachedSequence {
 public:
  // blocks: by layer, (N, 8, 8) on the decoder's device or undefined; empty: no adapter. The decoder must outlive this.
  CachedSequence(const Decoder& decoder, std::vector<at::Tensor> blocks);

  const Decoder& decoder() const { return decoder_; }
  // Logits (V) after the last of `tokens` (at least one). Interrupted if a stop is asked for between two layers.
  at::Tensor next_logits(const std::vector<std::int32_t>& tokens);

 private:
  std::int64_t reusable(const std::vector<std::int32_t>& tokens) const;
  at::Tensor forward(const std::vector<std::int32_t>& tokens, std::int64_t first);

  const Decoder& decoder_;
  std::vector<at::Tensor> blocks_;
  KvCache cache_;
  std::vector<std::int32_t> tokens_;  // that the cache holds
};

}  // namespace nkat::models
