// Counts the bytes that CPU tensors hold, so that a test can say what autograd keeps between forward and backward.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

namespace nkat::testing {

// Bytes in use by all CPU tensors made since the first call.
class HeldBytes {
 public:
  static std::int64_t now() {
    static Counter* const counter = new Counter();  // lives on: tensors outlive the statics of main
    static_cast<void>(counter);
    return held.load();
  }
  // The most that was in use since the last call of forget_peak().
  static std::int64_t peak() { return most.load(); }
  static void forget_peak() { most = now(); }

 private:
  // A block begins with its size; what tensors see starts kHeader bytes later, as aligned as LibTorch wants it.
  static constexpr std::size_t kHeader = 64;

  struct Counter : c10::Allocator {
    Counter() { c10::SetCPUAllocator(this, /*priority=*/100); }
    c10::DataPtr allocate(std::size_t bytes) override {
      auto* block = static_cast<std::byte*>(c10::alloc_cpu(bytes + kHeader));
      std::memcpy(block, &bytes, sizeof bytes);
      const std::int64_t total = held.fetch_add(static_cast<std::int64_t>(bytes)) + static_cast<std::int64_t>(bytes);
      for (std::int64_t seen = most.load(); seen < total && !most.compare_exchange_weak(seen, total);) {
      }
      return {block + kHeader, block + kHeader, &Counter::free, c10::Device(c10::DeviceType::CPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &Counter::free; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

    static void free(void* data) {
      if (data == nullptr) return;
      std::byte* block = static_cast<std::byte*>(data) - kHeader;
      std::size_t bytes = 0;
      std::memcpy(&bytes, block, sizeof bytes);
      held -= static_cast<std::int64_t>(bytes);
      c10::free_cpu(block);
    }
  };
  static inline std::atomic<std::int64_t> held{0};
  static inline std::atomic<std::int64_t> most{0};
};

}  // namespace nkat::testing
