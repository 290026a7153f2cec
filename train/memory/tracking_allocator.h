// A CPU allocator that counts the bytes that tensors hold and fails beyond a limit, as a full GPU does. The program's
// code and oneDNN's scratch memory are not counted.
#pragma once

#include <cstdint>

namespace nkat::train {

struct AllocatorFigures {
  std::uint64_t current_bytes = 0;
  std::uint64_t peak_bytes = 0;  // since reset_tracking_allocator_peak()
};

// Puts the allocator in front of LibTorch's own for the rest of the process. Call it before the first tensor is made.
void install_tracking_allocator();
AllocatorFigures tracking_allocator_figures();
void reset_tracking_allocator_peak();
// An allocation that would raise the current bytes above the limit throws c10::OutOfMemoryError; 0: no limit.
void set_tracking_allocator_limit(std::uint64_t bytes);

}  // namespace nkat::train
