// What the heap holds at most while a test runs something. Link tests/support/counted_memory.cpp: it replaces the
// program's operator new, so that every allocation of the code under test is counted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace nkat::testing {

class CountedMemory {
 public:
  CountedMemory();
  std::int64_t peak() const;  // bytes above what was held when this began
 private:
  std::int64_t before_;
};

// Runs a reader on bytes; more than the bytes and 64 MiB on the heap fails the test, also where it throws.
inline void read_within_memory(const std::function<void(const std::string&)>& read, const std::string& bytes) {
  struct Check {
    std::int64_t allowed;
    CountedMemory memory{};
    ~Check() { EXPECT_LE(memory.peak(), allowed); }
  } check{static_cast<std::int64_t>(bytes.size()) + (64 << 20)};
  read(bytes);
}

}  // namespace nkat::testing
