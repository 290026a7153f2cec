// What the micro-batches of a window come to, on one rank and over all: the run's one message a step.
//
// The message is one float32 all-reduce: dM of all layers (A·N·64 floats), one flag a sample of the window, and a few
// words of every rank with no bit lost (train/distributed/packed_integers.h): 3.1 MB for Phi-3.5-mini. What is derived from the result is the
// same on every rank, so that all of them skip, stop and update together.
#pragma once

#include <cstdint>
#include <vector>

#include "train/adapter_gradients.h"
#include "train/distributed/process_group.h"

namespace nkat::train {

struct StepResult {
  AdapterMatrixGradients block_gradients;  // of the loss over the target tokens of the whole window
  double loss_sum = 0.0;                   // nats
  std::vector<std::int64_t> suspects;      // places in the window whose loss or gradient is not finite, ascending
  bool stop = false;                       // a signal came: the step is thrown away
  std::uint64_t peak_bytes = 0;            // the largest of the ranks
  bool memory_changed = false;             // this rank ran out of memory and spends it otherwise from now on
  std::vector<int> changed_ranks;          // of the sum: the ranks of which this is true
};

// Adds up what all ranks came to; with one rank nothing changes. state: a digest of what the step began with.
// RankMismatch when it is not the same on all ranks.
StepResult all_reduce(ProcessGroup& ranks, StepResult mine, std::int64_t window_samples, std::uint64_t state);

// RankMismatch that names the ranks whose word is another one than rank 0's. what: "the state of step 3".
void check_consistent(const std::vector<std::uint64_t>& words, const std::string& what);

}  // namespace nkat::train
