#include "train/memory/memory_monitor.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cli/progress.h"
#include "train/memory/tracking_allocator.h"

namespace nkat::train {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kMiB = 1 << 20;

at::Tensor bytes(std::uint64_t count) { return at::empty({static_cast<std::int64_t>(count)}, at::kByte); }

class MemoryMonitorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install_tracking_allocator(); }
  ~MemoryMonitorTest() override { set_tracking_allocator_limit(0); }
  static std::uint64_t held() { return tracking_allocator_figures().current_bytes; }
};

TEST_F(MemoryMonitorTest, ThePeakIsThatOfTheStep) {
  MemoryMonitor monitor(at::kCPU, 0);
  const at::Tensor kept = bytes(4096);
  monitor.begin_step();
  bytes(kMiB);
  EXPECT_EQ(monitor.figures().peak_bytes, held() + kMiB);
  EXPECT_EQ(monitor.figures().current_bytes, held());
  monitor.begin_step();
  bytes(8192);
  EXPECT_EQ(monitor.figures().peak_bytes, held() + 8192);
}

TEST_F(MemoryMonitorTest, TheDevicesBytesAreTheProcesssResidentSize) {
  const MemoryMonitor monitor(at::kCPU, 0);
  const MemoryFigures before = monitor.figures();
  const at::Tensor written = bytes(64 * kMiB).fill_(1), untouched = bytes(1024 * kMiB);
  const MemoryFigures now = monitor.figures();
  EXPECT_EQ(now.current_bytes, before.current_bytes + 1088 * kMiB);
  // Half and all: the process may give other pages back, and takes some, meanwhile.
  EXPECT_GE(now.device_bytes, before.device_bytes + 32 * kMiB);
  EXPECT_LT(now.device_bytes, before.device_bytes + 1024 * kMiB);
}

TEST_F(MemoryMonitorTest, RefusesWhatPassesTheBudgetOfTheLastMonitor) {
  const MemoryMonitor first(at::kCPU, held() + 5000);
  EXPECT_EQ(first.budget_bytes(), held() + 5000);
  EXPECT_NO_THROW(bytes(5000));
  EXPECT_THROW(bytes(5001), c10::OutOfMemoryError);
  const MemoryMonitor unlimited(at::kCPU, 0);
  EXPECT_NO_THROW(bytes(5001));
}

TEST_F(MemoryMonitorTest, IsAboveItsBudgetByOneByteAndNeverWithoutOne) {
  const at::Tensor kept = bytes(4096);
  EXPECT_FALSE(MemoryMonitor(at::kCPU, held()).above_budget());
  EXPECT_TRUE(MemoryMonitor(at::kCPU, held() - 1).above_budget());
  EXPECT_FALSE(MemoryMonitor(at::kCPU, 0).above_budget());
}

TEST_F(MemoryMonitorTest, DescribesPeakBudgetAndResidentSize) {
  MemoryMonitor monitor(at::kCPU, 1536 * kMiB);
  monitor.begin_step();
  bytes(96 * kMiB);
  const std::string peak = format_bytes(static_cast<double>(held() + 96 * kMiB));
  EXPECT_THAT(monitor.describe(),
              AllOf(StartsWith("peak " + peak + " of 1.50 GiB"), HasSubstr(" (resident "), EndsWith(")")));
}

}  // namespace
}  // namespace nkat::train
