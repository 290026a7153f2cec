// Incremental decoding of several sequences, each with its own cache of keys and values.
//
//   BatchDecoder batch(decoder, adapter, {.slots = 8});
//   at::Tensor logits = batch.next_logits({{.slot = 0, .tokens = a}, {.slot = 3, .tokens = b}});  // (2, V)
//
// The rows of all sequences go through the linear layers together, without padding; attention runs per sequence. So a
// sequence's logits don't depend on its neighbors, except for the rounding of matrix products, which may differ with
// the number of rows.
//
// A slot takes any token list: the prefix it shares with the slot's last list is reused, the rest computed. When a list
// grows past original_max_position_embeddings all of it is recomputed with the long factors, since the cached keys were
// rotated by the short ones (as in transformers).
//
// After an exception (Interrupted, out of memory) every slot still holds what was complete; the call may be repeated.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/decoder.h"

namespace nkat::models {

// The keys and values of one sequence, so that one more token costs one row instead of the whole sequence. Takes 2 *
// layers * kv heads * head_dim * element size bytes per position; grows by doubling, or at once to what was reserved.
class KvCache {
 public:
  KvCache(std::int64_t num_layers, const layers::HeadShape& heads, const at::TensorOptions& options);

  std::int64_t length() const { return length_; }
  // Takes effect when the first position is written.
  void reserve(std::int64_t length) { reserved_ = length; }
  // Keeps the first `length` positions.
  void truncate(std::int64_t length);
  // Frees all memory.
  void clear();
  // Writes the keys and values of qkv (n, (heads + 2 kv heads) head_dim), rotated, at positions length() ..
  // length()+n-1 of one layer. advance(n) makes them part of the cache once all layers are written.
  void write(std::int64_t layer, const at::Tensor& qkv);
  void advance(std::int64_t count);
  at::Tensor keys(std::int64_t layer, std::int64_t length) const;    // (length, kv heads, head_dim)
  at::Tensor values(std::int64_t layer, std::int64_t length) const;  // (length, kv heads, head_dim)

 private:
  at::Tensor with_room(const at::Tensor& store, std::int64_t needed) const;

  layers::HeadShape heads_;
  std::int64_t length_ = 0;
  std::int64_t reserved_ = 0;
  std::vector<at::Tensor> stores_;  // per layer (2, capacity, kv heads, head_dim)
};

struct BatchDecoderOptions {
  std::int64_t slots = 1;
  // Sequences are computed together up to this many rows, a longer one alone: bounds the activations' memory.
  std::int64_t rows_per_pass = 1024;
};

class BatchDecoder {
 public:
  // adapter: as Decoder::hidden takes it. The decoder must outlive this.
  BatchDecoder(const Decoder& decoder, std::vector<at::Tensor> adapter, const BatchDecoderOptions& options);

  const Decoder& decoder() const { return decoder_; }

  struct Request {
    std::int64_t slot = 0;
    std::span<const std::int32_t> tokens = {};  // at least one
  };
  // Logits (n, V) after the last token of each request; no slot twice. Interrupted between two layers.
  at::Tensor next_logits(const std::vector<Request>& requests);
  // The slot's next use allocates this many positions at once.
  void reserve(std::int64_t slot, std::int64_t length);
  // Forgets a slot's sequence and frees its memory.
  void release(std::int64_t slot);

 private:
  struct Slot {
    KvCache cache;
    std::vector<std::int32_t> tokens;  // that the cache holds
  };
  struct Part {
    Request request;
    std::int64_t first = 0;  // the first position to compute
    std::int64_t length() const { return static_cast<std::int64_t>(request.tokens.size()); }
    std::int64_t rows() const { return length() - first; }
  };
  Slot& slot(std::int64_t index) { return slots_.at(static_cast<std::size_t>(index)); }
  std::int64_t reusable(const Slot& slot, std::span<const std::int32_t> tokens) const;
  layers::RopeAngles angles(const std::vector<Part>& parts) const;
  at::Tensor embed(const std::vector<Part>& parts) const;
  at::Tensor attend(std::int64_t layer, const at::Tensor& qkv, const std::vector<Part>& parts);
  at::Tensor forward(const std::vector<Part>& parts);

  const Decoder& decoder_;
  std::vector<at::Tensor> adapter_;
  std::int64_t rows_per_pass_;
  std::vector<Slot> slots_;
};

// A batch of one sequence.
class SequenceDecoder {
 public:
  SequenceDecoder(const Decoder& decoder, std::vector<at::Tensor> adapter) : batch_(decoder, std::move(adapter), {}) {}

  const Decoder& decoder() const { return batch_.decoder(); }
  // Logits (V) after the last of `tokens` (at least one).
  at::Tensor next_logits(const std::vector<std::int32_t>& tokens) {
    return batch_.next_logits({{.slot = 0, .tokens = tokens}}).squeeze(0);
  }

 private:
  BatchDecoder batch_;
};

}  // namespace nkat::models
