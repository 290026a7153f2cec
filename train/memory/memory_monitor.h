// What the run holds on its device against its budget, read every micro-batch. On a GPU the figures are those of
// LibTorch's caching allocator; on a CPU those of the counting allocator, with the process's resident size beside them.
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
  // Allocations beyond the budget fail from now on, so that they can be answered; 0: no budget.
  MemoryMonitor(at::Device device, std::uint64_t budget_bytes);

  void begin_step();
  MemoryFigures figures() const;
  void free_caches() const;
  // Does the device hold more than the budget, the driver's context counted in?
  bool above_budget() const;
  std::uint64_t budget_bytes() const { return budget_bytes_; }
  std::string describe() const;  // "peak 1.20 GiB of 11.50 GiB (resident 2.10 GiB)"

 private:
  at::Device device_;
  std::uint64_t budget_bytes_;
  std::uint64_t context_bytes_ = 0;  // GPU: what the process holds beside the allocator
};

}  // namespace nkat::train
