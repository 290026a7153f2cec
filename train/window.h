// One accumulation window: batch_size x gradient_accumulation samples of the stream, in micro-batches of batch_size.
// Step s (from 0) takes the stream's positions s·n .. s·n + n - 1, so a step's data is a function of seed and step.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "data/sampler.h"
#include "models/packed_samples.h"

namespace nkat::train {

struct Window {
  std::vector<models::PackedSamples> micro_batches;
  std::int64_t tokens = 0;
  std::int64_t target_tokens = 0;
};

struct WindowShape {
  std::int64_t batch_size = 1;
  std::int64_t accumulation = 32;
};

Window make_window(const data::Dataset& dataset, data::Sampler& sampler, const WindowShape& shape, std::int64_t step);

// The control that must not learn: target ids permuted over all target positions of the window, by seed and step.
void shuffle_targets(Window& window, std::uint64_t seed, std::int64_t step);

}  // namespace nkat::train
