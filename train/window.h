// One accumulation window: batch_size x gradient_accumulation samples of the stream, in micro-batches of batch_size or
// packed: as few as hold at most so many tokens each, cut so that the largest is as small as it can be. Samples keep
// their order. Step s (from 0) takes the stream's positions s·n .. s·n + n - 1, so a step's data is a function of seed
// and step, and how it is packed changes nothing but the rounding.
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
  std::int64_t micro_batch_tokens = 0;  // a micro-batch takes more than batch_size samples up to here
};

// How many consecutive units of these sizes go together: as few groups as sums of at most `limit` allow (a larger unit
// goes alone), with the smallest largest sum that many groups can have.
std::vector<std::size_t> balanced_groups(const std::vector<std::int64_t>& sizes, std::int64_t limit);

Window make_window(const data::Dataset& dataset, data::Sampler& sampler, const WindowShape& shape, std::int64_t step);

// The control that must not learn: target ids permuted over all target positions of the window, by seed and step.
void shuffle_targets(Window& window, std::uint64_t seed, std::int64_t step);

}  // namespace nkat::train
