// The one all-reduce of a step: what the ranks' micro-batches gave, added up.
//
// The message is one float32 tensor, 3.1 MB for Phi-3.5-mini: dM of all layers (A · N · 64 floats), one flag per sample
// of the global batch, and a few 64-bit integers of each rank, exact to the bit. All ranks derive the same from it, so
// that they skip, stop and update together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/distributed/process_group.h"
#include "train/gradient_accumulation.h"

namespace nkat::train {

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
