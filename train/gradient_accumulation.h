// Gradient accumulation: the global batch of a step, batch_size x gradient_accumulation samples, cut into micro-batches,
// and the sums over them.
//
// Step s (from 0) takes the sampler's positions s·n .. s·n + n - 1, so a step's data is a function of seed and step.
// Micro-batches hold batch_size samples, or are packed: as few as possible of at most so many tokens, cut so that the
// largest is as small as it can be. Samples keep their order; packing changes nothing but the rounding.
//
// Several ranks share a global batch: each packs its share, chosen so that the ranks' tokens differ little. The shares
// are a function of the samples' lengths, so that every rank knows its own.
#pragma once

#include <functional>
#include <vector>

#include "data/datasets/dataset.h"
#include "data/datasets/sampler.h"
#include "models/packed_batch.h"
#include "train/adapter_gradients.h"

namespace nkat::train {

struct GlobalBatch {
  std::vector<models::PackedBatch> micro_batches;         // of this rank
  std::vector<std::vector<std::int64_t>> sample_indices;  // of each micro-batch: into `samples`
  std::vector<std::int64_t> samples;                      // of all ranks: indices in the dataset
  std::int64_t tokens = 0;                                // of all ranks
  std::int64_t target_tokens = 0;                         // of all ranks
};

struct BatchShape {
  std::int64_t batch_size = 1;
  std::int64_t accumulation = 32;
  std::int64_t micro_batch_tokens = 0;  // a micro-batch takes more than batch_size samples up to here
  int rank = 0;
  int ranks = 1;
};

// How many consecutive units of these sizes go together: as few groups as sums of at most `limit` allow (a larger unit
// goes alone), and of all ways to cut that many groups one whose largest sum is smallest.
std::vector<std::size_t> balanced_groups(const std::vector<std::int64_t>& sizes, std::int64_t limit);

// Indices of the units that each rank takes, ascending: the largest unit left goes to the rank that has least, so the
// ranks' sums differ by at most the largest unit. With at least as many units as ranks, each rank has one.
std::vector<std::vector<std::int64_t>> balanced_shares(const std::vector<std::int64_t>& sizes, int ranks);

GlobalBatch assemble_batch(const data::Dataset& dataset, data::Sampler& sampler, const BatchShape& shape,
                           std::int64_t step);

// The control that can't learn: target ids permuted over all target positions of the batch, by seed and step. The same
// for any number of ranks.
void shuffle_targets(GlobalBatch& batch, const data::Dataset& dataset, std::uint64_t seed, std::int64_t step);

struct StepResult {
  AdapterMatrixGradients matrix_gradients;      // of the loss over the target tokens of the global batch
  double loss_sum = 0.0;                        // nats
  std::vector<std::int64_t> nonfinite_samples;  // indices in the global batch whose loss or gradient is not finite
  bool stop = false;                            // a signal came: the step is dropped
  std::uint64_t peak_bytes = 0;                 // the largest of the ranks
  bool memory_changed = false;                  // this rank ran out of memory and has changed its settings
  std::vector<int> changed_ranks;               // of the sum: the ranks with memory_changed
};

// Σ losses and Σ dL/dM over this rank's micro-batches, and the samples where one of them is not finite; ends early with
// `stop` when a signal comes. run_micro_batch adds dL/dM to the adapter's leaves and returns Σ losses; when it returns, the
// leaves hold that micro-batch alone.
StepResult accumulate_gradients(AdapterGradients& adapter, const GlobalBatch& batch,
                                const std::function<double(const models::PackedBatch&)>& run_micro_batch);

}  // namespace nkat::train
