// Independent pieces of work on all processors that this process may use, in code that has no tensors.
#pragma once

#include <cstddef>
#include <functional>

namespace nkat {

// Calls work(0) ... work(count - 1), each once, in any order, on up to usable_processors() threads, this one included.
// The first exception ends it: pieces that were not begun are left out, and it is thrown here.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace nkat
