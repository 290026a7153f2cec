// Forward and backward of one micro-batch: token loss of the frozen model with the adapter's blocks in every layer.
#pragma once

#include <vector>

#include "models/decoder.h"
#include "models/packed_batch.h"

namespace nkat::train {

// How a micro-batch spends memory; the memory monitor turns these.
struct MemorySettings {
  std::int64_t recomputed_layers = 0;
  std::int64_t head_rows = 256;          // rows whose logits exist at once
  std::int64_t micro_batch_samples = 1;  // at most so many samples run together
  std::int64_t batch_samples = 1;        // --batch-size: down to it, splitting comes before recomputing
};

// Adds d(scale Σ losses)/dM to the gradient of every leaf in `blocks` (by layer; undefined below first_trained) and
// returns Σ losses in nats. samples: on the decoder's device; on a GPU they run padded to whole tiles of 64 rows.
double run_micro_batch(const models::Decoder& decoder, const std::vector<at::Tensor>& blocks,
                       const models::PackedSamples& samples, double scale, const MemorySettings& choices);

}  // namespace nkat::train
