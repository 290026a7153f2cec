// The memory that a run holds on its device, against its budget. On a GPU the figures are those of LibTorch's caching
// allocator; on a CPU those of the tracking allocator, and the process's resident size.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace nkat::train {

struct MemoryFigures {
  std::uint64_t current_bytes = 0;
  std::uint64_t peak_bytes = 0;    // since begin_step()
  std::uint64_t device_bytes = 0;  // GPU: reserved by the allocator; CPU: resident size of the process
};

class MemoryMonitor {
 public:
  // From now on allocations beyond the budget fail with c10::OutOfMemoryError; 0: no budget.
  MemoryMonitor(at::Device device, std::uint64_t budget_bytes);

  void begin_step();
  MemoryFigures figures() const;
  void free_caches() const;
  // True if the device holds more than the budget, the driver's context included.
  bool above_budget() const;
  std::uint64_t budget_bytes() const { return budget_bytes_; }
  std::string describe() const;  // "peak 1.20 GiB of 11.50 GiB (resident 2.10 GiB)"

 private:
  at::Device device_;
  std::uint64_t budget_bytes_;
  std::uint64_t context_bytes_ = 0;  // GPU: held by the driver, outside the allocator
};

}  // namespace nkat::train
