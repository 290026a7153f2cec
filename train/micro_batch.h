// Forward and backward of one micro-batch: cross-entropy of the frozen model with the adapter's matrices in its layers.
#pragma once

#include <functional>
#include <vector>

#include "models/decoder.h"
#include "models/packed_batch.h"

namespace nkat::train {

// How a micro-batch trades time for memory; OomFallback changes these when memory runs out.
struct MemorySettings {
  std::int64_t recomputed_layers = 0;
  std::int64_t head_rows = 256;          // rows whose logits exist at once
  std::int64_t micro_batch_samples = 1;  // samples that run together, at most
  std::int64_t batch_samples = 1;        // --batch-size: down to it, splitting comes before recomputing
};

// Adds d(scale · Σ losses)/dM to the gradient of every leaf in `matrices` (by layer of the model; undefined below the
// first adapter layer) and returns Σ losses in nats. samples: on the decoder's device.
using MicroBatchFunction =
    std::function<double(const std::vector<at::Tensor>& matrices, const models::PackedBatch& samples, double scale,
                         const MemorySettings& settings)>;

// The MicroBatchFunction of a model. On a GPU the samples are padded to whole tiles of 64 rows.
double run_micro_batch(const models::Decoder& decoder, const std::vector<at::Tensor>& matrices,
                       const models::PackedBatch& samples, double scale, const MemorySettings& settings);

}  // namespace nkat::train
