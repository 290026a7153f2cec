// Which rank of a data-parallel run this process is, as torchrun tells it:
//   torchrun --no-python --nproc-per-node N build/nkat train ...
// Read from RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT (all needed), GROUP_RANK (the
// number of the machine; needed when there are several) and TORCHELASTIC_USE_AGENT_STORE (optional). Any other launcher
// may set the same.
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

// Nothing without RANK. ConfigError that names the variable when one is missing or is not what it must be.
std::optional<RankEnvironment> rank_environment();

}  // namespace nkat::train
