#include "train/counting_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <atomic>

#include "core/progress.h"

namespace nkat::train {
namespace {

std::atomic<std::uint64_t> current_bytes{0};
std::atomic<std::uint64_t> peak_bytes{0};
std::atomic<std::uint64_t> limit_bytes{0};
std::atomic<std::int64_t> failures_left{0};
std::atomic<std::uint64_t> smallest_failure{0};

struct Block {
  c10::DataPtr memory;
  std::uint64_t bytes;
};

void release(void* context) {
  const auto* block = static_cast<Block*>(context);
  current_bytes -= block->bytes;
  delete block;
}

class CountingAllocator final : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    refuse_if_too_much(bytes);
    auto* block = new Block{inner_->allocate(bytes), bytes};
    const std::uint64_t now = current_bytes += bytes;
    std::uint64_t highest = peak_bytes;
    while (now > highest && !peak_bytes.compare_exchange_weak(highest, now)) {
    }
    return {block->memory.get(), block, &release, c10::Device(c10::DeviceType::CPU)};
  }

  void copy_data(void* destination, const void* source, std::size_t count) const override {
    default_copy_data(destination, source, count);
  }

 private:
  static void refuse_if_too_much(std::size_t bytes) {
    if (failures_left > 0 && bytes >= smallest_failure) {
      --failures_left;
      TORCH_CHECK_WITH(OutOfMemoryError, false, "allocation failure asked for by a test");
    }
    const std::uint64_t limit = limit_bytes;
    TORCH_CHECK_WITH(OutOfMemoryError, limit == 0 || current_bytes + bytes <= limit, "the budget of ",
                     format_bytes(static_cast<double>(limit)),
                     " is used up: ", format_bytes(static_cast<double>(current_bytes)), " held, ",
                     format_bytes(static_cast<double>(bytes)), " more asked for");
  }

  c10::Allocator* inner_;
};

}  // namespace

void install_counting_allocator() {
  static CountingAllocator allocator(c10::GetDefaultCPUAllocator());
  c10::SetCPUAllocator(&allocator, /*priority=*/100);
}

AllocatorFigures counting_allocator_figures() { return {current_bytes, peak_bytes}; }
void reset_counting_allocator_peak() { peak_bytes = current_bytes.load(); }
void set_counting_allocator_limit(std::uint64_t bytes) { limit_bytes = bytes; }

void fail_next_allocations(std::int64_t count, std::uint64_t smallest) {
  smallest_failure = smallest;
  failures_left = count;
}

}  // namespace nkat::train
