#include "train/memory/tracking_allocator.h"

#include <gtest/gtest.h>

namespace nkat::train {
namespace {

class TrackingAllocatorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install_tracking_allocator(); }
  ~TrackingAllocatorTest() override { set_tracking_allocator_limit(0); }
};

TEST_F(TrackingAllocatorTest, CountsWhatTensorsHoldAndRemembersThePeak) {
  const std::uint64_t before = tracking_allocator_figures().current_bytes;
  reset_tracking_allocator_peak();
  at::Tensor kept = at::empty({1024}, at::kFloat);
  { const at::Tensor passing = at::empty({4096}, at::kFloat); }
  EXPECT_EQ(tracking_allocator_figures().current_bytes - before, 4096u);
  EXPECT_EQ(tracking_allocator_figures().peak_bytes - before, 4096u + 16384u);
  kept.reset();
  EXPECT_EQ(tracking_allocator_figures().current_bytes, before);
}

TEST_F(TrackingAllocatorTest, RefusesWhatWouldPassTheLimitAndGoesOnBelowIt) {
  set_tracking_allocator_limit(tracking_allocator_figures().current_bytes + 5000);
  EXPECT_THROW(at::empty({2048}, at::kFloat), c10::OutOfMemoryError);
  EXPECT_THROW(at::empty({2048}, at::kFloat), c10::OutOfMemoryError);
  EXPECT_NO_THROW(at::empty({1024}, at::kFloat));
}

// oneDNN takes raw blocks for these products, where a processor has them.
TEST_F(TrackingAllocatorTest, ServesBf16Products) {
  const at::Tensor x = at::ones({17, 32}).to(at::kBFloat16), weight = at::ones({48, 32}).to(at::kBFloat16);
  EXPECT_EQ(at::linear(x, weight).sum().item<float>(), 17.0f * 48 * 32);
}

}  // namespace
}  // namespace nkat::train
