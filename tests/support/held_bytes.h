// Counts the bytes that CPU tensors hold, so that a test can say what autograd keeps between forward and backward.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdint>

namespace nkat::testing {

// Bytes in use by all CPU tensors made since the first call.
class HeldBytes {
 public:
  static std::int64_t now() {
    static Counter* const counter = new Counter();  // lives on: tensors outlive main's statics
    return counter->held;
  }

 private:
  struct Counter : c10::Allocator {
    Counter() : inner(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, /*priority=*/1); }
    c10::DataPtr allocate(std::size_t bytes) override {
      auto* block = new Block{inner->allocate(bytes), this, static_cast<std::int64_t>(bytes)};
      held += block->bytes;
      return {block->memory.get(), block, &Counter::free, c10::Device(c10::DeviceType::CPU)};
    }
    void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

    struct Block {
      c10::DataPtr memory;
      Counter* owner;
      std::int64_t bytes;
    };
    static void free(void* context) {
      auto* block = static_cast<Block*>(context);
      block->owner->held -= block->bytes;
      delete block;
    }

    c10::Allocator* inner;
    std::atomic<std::int64_t> held{0};
  };
};

}  // namespace nkat::testing
