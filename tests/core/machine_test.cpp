#include "core/machine.h"

#include <gtest/gtest.h>
#include <cstring>
#include <vector>

namespace nkat {
namespace {

TEST(Machine, SeesMemoryThatThisProcessTakes) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  return_freed_memory();  // or the block comes out of what earlier tests freed
  const ProcessMemory before = process_memory();
  std::vector<char> block(kBytes);
  std::memset(block.data(), 1, block.size());
  const ProcessMemory after = process_memory();
  EXPECT_GT(after.resident_bytes, after.resident_anonymous_bytes);
  // Pages freed meanwhile elsewhere in the process: a few MiB at most.
  EXPECT_GT(after.resident_anonymous_bytes, before.resident_anonymous_bytes + kBytes - (std::size_t{8} << 20));
  EXPECT_EQ(block[kBytes / 2], 1);
}

TEST(Machine, KnowsItsSize) {
  EXPECT_GE(machine_memory_bytes(), available_memory_bytes());
  EXPECT_GT(available_memory_bytes(), 0u);
  EXPECT_GE(usable_processors(), 1);
  EXPECT_FALSE(processor_name().empty());
  EXPECT_GE(terminal_columns(), 1);
}

}  // namespace
}  // namespace nkat
