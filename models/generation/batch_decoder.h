// Several sequences written on together, each with keys and values of its own.
//
//   BatchDecoder batch(decoder, blocks, {.slots = 8});
//   at::Tensor logits = batch.next_logits({{.slot = 0, .tokens = a}, {.slot = 3, .tokens = b}});  // (2, V)
//
// The rows of all sequences go through the linear layers together, without padding; attention goes sequence by
// sequence. So a sequence's logits don't depend on its neighbors, but for the rounding of matrix products, which may
// differ with the number of rows.
//
// A slot may be asked for any token list: what it shares at its beginning with the slot's last list is reused, the rest
// computed. When a list grows past original_max_position_embeddings all of it is computed again, with the long factors,
// since cached keys were turned by the short ones (transformers does the same).
//
// After an exception (Interrupted, out of memory) every slot still holds what was computed whole; the call may be
// repeated. Not for several threads at once.
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
  // Sequences are computed together up to this many rows; a longer one goes alone. Bounds the activations' memory.
  std::int64_t rows_per_pass = 1024;
};

class BatchDecoder {
 public:
  // blocks: by layer, (N, 8, 8) on the decoder's device or undefined; empty: no adapter. The decoder must outlive this.
  BatchDecoder(const Decoder& decoder, std::vector<at::Tensor> blocks, const BatchDecoderOptions& options);

  const Decoder& decoder() const { return decoder_; }

  struct Request {
    std::int64_t slot = 0;
    std::span<const std::int32_t> tokens = {};  // at least one
  };
  // Logits (n, V) after the last token of each request; no slot twice. Interrupted if a stop is asked for between two
  // layers.
  at::Tensor next_logits(const std::vector<Request>& requests);
  // Memory for this many positions is taken at once when the slot is next used.
  void reserve(std::int64_t slot, std::int64_t length);
  // Forgets a slot's sequence and gives its memory back.
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
  std::vector<at::Tensor> blocks_;
  std::int64_t rows_per_pass_;
  std::vector<Slot> slots_;
};

// A batch of one sequence.
class SequenceDecoder {
 public:
  SequenceDecoder(const Decoder& decoder, std::vector<at::Tensor> blocks) : batch_(decoder, std::move(blocks), {}) {}

  const Decoder& decoder() const { return batch_.decoder(); }
  // Logits (V) after the last of `tokens` (at least one).
  at::Tensor next_logits(const std::vector<std::int32_t>& tokens) {
    return batch_.next_logits({{.slot = 0, .tokens = tokens}}).squeeze(0);
  }

 private:
  BatchDecoder batch_;
};

}  // namespace nkat::models
