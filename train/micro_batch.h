// Forward and backward of one micro-batch: cross-entropy of the frozen model with the adapter's matrices in its layers.
#pragma once

#include <functional>
#include <vector>

#include "data/run/run_config.h"
#include "models/decoder.h"
#include "models/packed_batch.h"

namespace nkat::train {

using data::MemorySettings;

// Adds d(scale · Σ losses)/dM to the gradient of every leaf in `matrices` (by layer of the model; undefined below the
// first adapter layer) and returns Σ losses in nats. samples: on the decoder's device.
using MicroBatchFunction =
    std::function<double(const std::vector<at::Tensor>& matrices, const models::PackedBatch& samples, double scale,
                         const MemorySettings& settings)>;

// The MicroBatchFunction of a model. On a GPU the samples are padded to whole tiles of 64 rows.
double run_micro_batch(const models::Decoder& decoder, const std::vector<at::Tensor>& matrices,
                       const models::PackedBatch& samples, double scale, const MemorySettings& settings);

}  // namespace nkat::train
