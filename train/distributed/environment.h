// Which rank of a data-parallel run this process is, as torchrun tells it:
//   torchrun --no-python --nproc-per-node N build/nkat train ...
// Read from RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT (all required), GROUP_RANK (the
// number of the machine; required with several) and TORCHELASTIC_USE_AGENT_STORE (optional). Any launcher may set them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nkat::train {

struct RankEnvironment {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among the ranks of this machine
  int local_size = 1;
  int machine = 0;
  std::string address = "";
  std::uint16_t port = 0;
  bool store_is_there = false;  // torchrun keeps the key-value store; otherwise rank 0 does

  bool one_machine() const { return local_size == size; }
};

// Nothing without RANK. ConfigError names a variable that is missing or out of range.
std::optional<RankEnvironment> rank_environment();

// The device of this rank for --device `asked`: with several ranks, auto is the GPU of the local rank's number if there
// are GPUs. ConfigError when all ranks of a machine are given the same GPU.
std::string rank_device(const std::string& asked, const RankEnvironment& environment);

}  // namespace nkat::train
