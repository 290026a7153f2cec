// A parallel loop over all processors that this process may use, for code without tensors.
#pragma once

#include <cstddef>
#include <functional>

namespace nkat {

// Calls work(0) ... work(count - 1), each once, in any order, on up to usable_processors() threads, this one included.
// The first exception stops the loop and is rethrown here; calls that had not begun are left out.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace nkat
