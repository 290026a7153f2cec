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
#include "models/generation/kv_cache.h"

namespace nkat::models {

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
    bool is_long = false;              // its keys are rotated by longrope's long factors
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
