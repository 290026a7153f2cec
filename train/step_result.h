// The result of a step's micro-batches, and the one all-reduce per step that adds it up over the ranks.
//
// The message is one float32 tensor, 3.1 MB for Phi-3.5-mini: dM of all layers (A · N · 64 floats), one flag per sample
// of the global batch, and a few 64-bit integers of each rank, exact to the bit. All ranks derive the same from it, so
// that they skip, stop and update together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/adapter_gradients.h"
#include "train/distributed/process_group.h"

namespace nkat::train {

struct StepResult {
  AdapterMatrixGradients matrix_gradients;      // of the loss over the target tokens of the global batch
  double loss_sum = 0.0;                        // nats
  std::vector<std::int64_t> nonfinite_samples;  // indices in the global batch whose loss or gradient is not finite
  bool stop = false;                            // a signal came: the step is dropped
  std::uint64_t peak_bytes = 0;                 // the largest of the ranks
  bool memory_changed = false;                  // this rank ran out of memory and has changed its settings
  std::vector<int> changed_ranks;               // of the sum: the ranks with memory_changed
};

// Adds up the results of all ranks; with one rank nothing changes. state: a digest of what the step began with.
// RankMismatch when it is not the same on all ranks.
StepResult all_reduce(ProcessGroup& group, StepResult mine, std::int64_t batch_samples, std::uint64_t state);

// RankMismatch that names the ranks whose digest is not rank 0's. what: "the state of step 3".
void check_consistent(const std::vector<std::uint64_t>& digests, const std::string& what);

// 64-bit integers inside a message that is summed in float32: each rank writes a slot of its own, in digits of 16 bits,
// and leaves the other slots 0. A message of I integers for K ranks has packed_floats(K, I) floats.
std::int64_t packed_floats(int ranks, std::size_t integers);
// Fills this rank's slot of `message`, which is all 0. message: contiguous float32 on the CPU.
void pack_integers(const at::Tensor& message, int rank, std::span<const std::uint64_t> integers);
// By rank, from the sum of all ranks' messages.
std::vector<std::vector<std::uint64_t>> unpack_integers(const at::Tensor& sum, int ranks);

}  // namespace nkat::train
