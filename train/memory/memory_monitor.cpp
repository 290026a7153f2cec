#include "train/memory/memory_monitor.h"

#include "core/cli/progress.h"
#include "core/machine.h"
#include "layers/kernels/device_info.h"
#include "train/memory/tracking_allocator.h"

namespace nkat::train {
namespace {

// A driver's context takes less than this; the rest is other processes' memory.
constexpr std::uint64_t kLargestContext = 1ULL << 30;

}  // namespace

MemoryMonitor::MemoryMonitor(at::Device device, std::uint64_t budget_bytes)
    : device_(device), budget_bytes_(budget_bytes) {
  if (device_.is_cuda()) {
    context_bytes_ = std::min(kLargestContext, layers::cuda_context_bytes(device_.index()));
    if (budget_bytes_ > 0)
      layers::cuda_limit_memory(device_.index(), budget_bytes_ - std::min(budget_bytes_, context_bytes_));
  } else {
    set_tracking_allocator_limit(budget_bytes_);
  }
}

bool MemoryMonitor::above_budget() const {
  if (budget_bytes_ == 0) return false;
  const MemoryFigures now = figures();
  return (device_.is_cuda() ? now.device_bytes + context_bytes_ : now.current_bytes) > budget_bytes_;
}

void MemoryMonitor::begin_step() {
  if (device_.is_cuda()) {
    layers::cuda_reset_peak(device_.index());
  } else {
    reset_tracking_allocator_peak();
  }
}

MemoryFigures MemoryMonitor::figures() const {
  if (device_.is_cuda()) {
    const layers::CudaAllocatorStats stats = layers::cuda_allocator_stats(device_.index());
    return {stats.allocated_bytes, stats.peak_reserved_bytes, stats.reserved_bytes};
  }
  const AllocatorFigures counted = tracking_allocator_figures();
  return {counted.current_bytes, counted.peak_bytes, process_memory().resident_bytes};
}

void MemoryMonitor::free_caches() const {
  if (device_.is_cuda()) {
    layers::cuda_empty_cache(device_.index());
  } else {
    trim_heap();
  }
}

std::string MemoryMonitor::describe() const {
  const MemoryFigures now = figures();
  return fmt::format("peak {} of {} ({} {})", format_bytes(static_cast<double>(now.peak_bytes)),
                     format_bytes(static_cast<double>(budget_bytes_)), device_.is_cuda() ? "reserved" : "resident",
                     format_bytes(static_cast<double>(now.device_bytes)));
}

}  // namespace nkat::train
