// The CPU's stand-in for a GPU's memory figures: an allocator that counts what tensors hold, and refuses what would
// pass a limit the way a full card does. Counted are LibTorch's tensors; the program's code and oneDNN's scratch are
// not.
#pragma once

#include <cstdint>

namespace nkat::train {

struct AllocatorFigures {
  std::uint64_t current_bytes = 0;
  std::uint64_t peak_bytes = 0;  // since reset_peak()
};

// Puts the counting allocator in front of LibTorch's own, for the rest of the process; once, before tensors are made.
void install_tracking_allocator();
AllocatorFigures tracking_allocator_figures();
void reset_tracking_allocator_peak();
// An allocation that would bring the current bytes above the limit throws c10::OutOfMemoryError; 0: no limit.
void set_tracking_allocator_limit(std::uint64_t bytes);
// The next `count` allocations of at least `smallest` bytes throw c10::OutOfMemoryError (fault injection of the tests).
void fail_next_allocations(std::int64_t count, std::uint64_t smallest);

}  // namespace nkat::train
