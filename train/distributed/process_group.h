// The ranks that train one adapter together, and their collectives: strings through c10d's key-value store, at any
// time; tensors and integers through a process group (NCCL between GPUs, Gloo between CPUs), once it is open.
//
// Promise: all ranks make the same calls in the same order and get the same bytes. A run in one process is rank 0 of 1,
// for which every call returns at once.
//
// Errors: DeviceError when a rank is lost; the group is of no use after it. While the ranks load, it is noticed by
// heartbeats (rendezvous.h). While they train, Gloo throws as soon as the rank's connections close, or after `timeout`
// when it hangs or its machine vanishes; NCCL should throw after `timeout` at the latest. If the machine that keeps the
// store vanishes while the ranks load, TCP gives up only after minutes, in which no signal is heard either.
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

// The ranks hold different states, or were started differently; nobody can tell which of them is right.
class RankMismatch : public CheckError {
  using CheckError::CheckError;
};

class ProcessGroup {
 public:
  ProcessGroup();  // one process
  // Returns when all ranks have joined at the environment's address. timeout: of one collective while training.
  ProcessGroup(const RankEnvironment& environment, std::chrono::seconds timeout);
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;
  ~ProcessGroup();

  int rank() const { return environment_.rank; }
  int size() const { return environment_.size; }
  const RankEnvironment& environment() const { return environment_; }
  // Rank 0, which alone reads and writes the run folder.
  bool is_main() const { return environment_.rank == 0; }

  // The string of rank 0, or of each rank by rank; waits as long as all ranks live. Interrupted when a stop is
  // requested.
  std::string broadcast(const std::string& text);
  std::vector<std::string> all_gather(const std::string& text);
  // The string of rank 0, which may be busy with something of its own for as long as it lives: between two steps, where no
  // timeout counts and a stop request waits for the next one.
  std::string await_main(const std::string& text);
  // The first rank of each machine goes on at once, the others when it has called release_local_ranks(): what is cached
  // in files is made once.
  void wait_for_local_leader();
  void release_local_ranks();

  // Waits for all ranks and opens the process group between tensors on `device`.
  void open(at::Device device);
  // message: contiguous float32 on the group's device; becomes the sum over the ranks.
  void all_reduce(const at::Tensor& message);
  // tensor: contiguous, on the CPU or the group's device; becomes rank 0's.
  void broadcast(const at::Tensor& tensor);
  // The integers of each rank, by rank; every rank gives the same number.
  std::vector<std::vector<std::uint64_t>> all_gather_integers(const std::vector<std::uint64_t>& integers);

  // A barrier at the end: torchrun ends the ranks that are left when the first has exited. Before the group is open
  // only rank 0 waits, since the store may be in its process.
  void shutdown();

 private:
  struct Connection;
  std::vector<std::string> exchange(const std::string& text, const std::vector<int>& from_ranks);

  RankEnvironment environment_;
  std::chrono::seconds timeout_{0};
  std::unique_ptr<Connection> connection_;  // none for one process
};

}  // namespace nkat::train
