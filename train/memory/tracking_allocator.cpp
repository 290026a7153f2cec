#include "train/memory/tracking_allocator.h"

#include <atomic>
#include <cstddef>
#include <cstring>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>

#include "core/cli/progress.h"

namespace nkat::train {
namespace {

std::atomic<std::uint64_t> current_bytes{0};
std::atomic<std::uint64_t> peak_bytes{0};
std::atomic<std::uint64_t> limit_bytes{0};

// A block begins with its size; the tensor's data starts kHeader bytes later, aligned as LibTorch requires. Data and
// context are one pointer, because oneDNN's BF16 products allocate raw blocks (raw_allocate).
constexpr std::size_t kHeader = 64;

void release(void* data) {
  if (data == nullptr) return;
  std::byte* block = static_cast<std::byte*>(data) - kHeader;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  current_bytes -= bytes;
  c10::free_cpu(block);
}

class TrackingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    refuse_if_too_much(bytes);
    auto* block = static_cast<std::byte*>(c10::alloc_cpu(bytes + kHeader));
    const std::uint64_t size = bytes;
    std::memcpy(block, &size, sizeof size);
    const std::uint64_t now = current_bytes += size;
    std::uint64_t highest = peak_bytes;
    while (now > highest && !peak_bytes.compare_exchange_weak(highest, now)) {
    }
    return {block + kHeader, block + kHeader, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* destination, const void* source, std::size_t count) const override {
    default_copy_data(destination, source, count);
  }

 private:
  static void refuse_if_too_much(std::size_t bytes) {
    const std::uint64_t limit = limit_bytes;
    TORCH_CHECK_WITH(OutOfMemoryError, limit == 0 || current_bytes + bytes <= limit, "the budget of ",
                     format_bytes(static_cast<double>(limit)),
                     " is used up: ", format_bytes(static_cast<double>(current_bytes)), " held, ",
                     format_bytes(static_cast<double>(bytes)), " more asked for");
  }
};

}  // namespace

void install_tracking_allocator() {
  static TrackingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/100);
}

AllocatorFigures tracking_allocator_figures() { return {current_bytes, peak_bytes}; }
void reset_tracking_allocator_peak() { peak_bytes = current_bytes.load(); }
void set_tracking_allocator_limit(std::uint64_t bytes) { limit_bytes = bytes; }

}  // namespace nkat::train
