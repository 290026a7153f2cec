#include "core/machine.h"

#include <cstring>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace nkat {
namespace {

TEST(Machine, SeesMemoryThatThisProcessTakes) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  trim_heap();  // or the block comes out of what earlier tests freed
  const ProcessMemory before = process_memory();
  std::vector<char> block(kBytes);
  std::memset(block.data(), 1, block.size());
  const ProcessMemory after = process_memory();
  EXPECT_GT(after.resident_bytes, after.resident_anonymous_bytes);
  // Pages freed meanwhile elsewhere in the process: a few MiB at most.
  EXPECT_GT(after.resident_anonymous_bytes, before.resident_anonymous_bytes + kBytes - (std::size_t{8} << 20));
  EXPECT_EQ(block[kBytes / 2], 1);
}

TEST(Machine, ReadsTheVersionOfTheNvidiaDriver) {
  const testing::TemporaryFolder folder;
  const auto version = [&](const std::string& text) {
    const auto path = folder.path() / "version";
    std::ofstream(path) << text;
    return nvidia_driver_version(path.string());
  };
  EXPECT_EQ(version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\nGCC version: 12.2.0\n"),
            "535.183.01");
  EXPECT_EQ(version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n"), "570.86.15");
  EXPECT_EQ(version("NVRM version: unknown\n"), std::nullopt);
  EXPECT_EQ(nvidia_driver_version((folder.path() / "absent").string()), std::nullopt);
}

TEST(Machine, KnowsItsSize) {
  EXPECT_GT(available_memory_bytes(), 0u);
  EXPECT_GE(usable_processors(), 1);
  EXPECT_GE(terminal_columns(), 1);
}

}  // namespace
}  // namespace nkat
