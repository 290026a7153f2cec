// The NCCL process group between GPUs, without any CUDA header.
// When to use: in train/distributed alone. wait() blocks and throws when a rank is gone or slower than the timeout;
// NCCL's default would end the process. Throws DeviceError in a build without CUDA. Never run yet; it compiles.
#pragma once

#include <chrono>

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace nkat::layers {

// Collective: returns when every rank has called it, at the first message at the latest.
c10::intrusive_ptr<c10d::Backend> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                  std::chrono::milliseconds timeout);

}  // namespace nkat::layers
