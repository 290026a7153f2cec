// What the heap holds at most while a test runs something. Link tests/support/counted_memory.cpp: it replaces the
// program's operator new, so that every allocation of the code under test is counted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nkat::testing {

class CountedMemory {
 public:
  CountedMemory();
  std::int64_t peak() const;  // bytes above what was held when this began
 private:
  std::int64_t before_;
};

}  // namespace nkat::testing
