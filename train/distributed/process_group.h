// The processes that train one adapter together, and what they say to each other: c10d's key-value store while they
// start (rendezvous.h), one process group (NCCL between GPUs, Gloo between CPUs) while they train.
//
// Promise: every call is made by all ranks in the same order; what comes back is the same bytes on each. A run in one
// process is rank 0 of 1, for which every call returns at once.
// Errors: DeviceError. While they load: 60 s after its start for a rank that never comes or fails before all have come,
// at once for one that fails later, after 30 s without a sign of life (or `timeout`, if that is less) for one that was
// killed; but only when TCP gives up, after minutes in which no signal is heard either, where the machine that keeps
// the store vanishes without closing its connections. While they train:
// Gloo throws as soon as the connections of a rank close, after `timeout` when it hangs or its machine vanishes; NCCL
// is expected to, after `timeout` at the latest. A process group that has thrown is of no use, and the caller ends.
// Where it ran: Gloo on CPUs. The NCCL group compiles and has never run, so nothing is known of how it fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/error.h"
#include "train/distributed/environment.h"

namespace nkat::train {

// The ranks hold different states, or were started differently; which of them is right can't be told.
class RankMismatch : public CheckError {
  using CheckError::CheckError;
};

class ProcessGroup {
 public:
  ProcessGroup();  // one process
  // Finds the others at the environment's address; returns when all are there. timeout: how long one may be waited for
  // while training.
  ProcessGroup(const RankEnvironment& environment, std::chrono::seconds timeout);
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;
  ~ProcessGroup();

  int rank() const { return environment_.rank; }
  int size() const { return environment_.size; }
  const RankEnvironment& environment() const { return environment_; }
  // Rank 0 alone reads and writes the run folder.
  bool writes() const { return environment_.rank == 0; }

  // A text of rank 0, or of each rank by rank, through the store; waited for as long as all ranks live. Interrupted
  // when a stop is asked for.
  std::string broadcast(const std::string& text);
  std::vector<std::string> all_gather(const std::string& text);
  // The first rank of each machine goes on at once, the others when it has called release_local_ranks(): what is cached in
  // files is made once.
  void wait_for_local_leader();
  void release_local_ranks();

  // Waits for all ranks and opens the process group; its messages are tensors on `device` from now on.
  void open_group(at::Device device);
  // message: contiguous float32 on the group's device; becomes the sum over the ranks.
  void sum(const at::Tensor& message);
  // tensor: contiguous, on the CPU or the group's device; becomes rank 0's.
  void broadcast(const at::Tensor& tensor);
  // The same number of words of each rank, by rank.
  std::vector<std::vector<std::uint64_t>> gather(const std::vector<std::uint64_t>& words);
  // Returns when all ranks have called it, for torchrun ends those that are left when the first has exited. Before the
  // group is open rank 0 alone waits: it may keep the store.
  void shutdown();

 private:
  struct Connection;
  std::vector<std::string> from_ranks(const std::string& text, const std::vector<int>& ranks);

  RankEnvironment environment_;
  std::chrono::seconds timeout_{0};
  std::unique_ptr<Connection> connection_;  // none for one process
};

}  // namespace nkat::train
