#include "layers/kernels/device_info.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "tests/support/cuda.h"

namespace nkat::layers {
namespace {

TEST(DeviceInfo, IsQuietAboutADeviceThatIsNotThere) {
  ::testing::internal::CaptureStderr();
  const auto count = static_cast<int>(cuda_devices().size());
  EXPECT_EQ(cuda_free_bytes(count), 0u);
  EXPECT_EQ(cuda_free_bytes(-1), 0u);
  EXPECT_EQ(cuda_allocator_stats(count).reserved_bytes, 0u);
  cuda_reset_peak(count);
  cuda_empty_cache(count);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(DeviceInfoGpu, NamesTheDeviceAndItsMemory) {
  NKAT_SKIP_WITHOUT_CUDA();
  const CudaDevice device = cuda_devices().front();
  EXPECT_FALSE(device.name.empty());
  EXPECT_GT(device.major, 0);
  EXPECT_GT(device.total_bytes, device.free_bytes);
  EXPECT_GT(device.free_bytes, 0u);
}

TEST(DeviceInfoGpu, FollowsTheAllocator) {
  NKAT_SKIP_WITHOUT_CUDA();
  constexpr std::uint64_t kBytes = 64 << 20;
  const std::uint64_t before = cuda_allocator_stats(0).allocated_bytes;
  {
    const at::Tensor held = at::empty({kBytes}, at::TensorOptions().dtype(at::kByte).device(at::kCUDA, 0));
    EXPECT_EQ(cuda_allocator_stats(0).allocated_bytes, before + kBytes);
  }
  const CudaAllocatorStats after = cuda_allocator_stats(0);
  EXPECT_EQ(after.allocated_bytes, before);
  EXPECT_GE(after.peak_allocated_bytes, before + kBytes);
  EXPECT_GE(after.reserved_bytes, kBytes);
  cuda_empty_cache(0);
  cuda_reset_peak(0);
  EXPECT_LT(cuda_allocator_stats(0).reserved_bytes, after.reserved_bytes);
  EXPECT_LT(cuda_allocator_stats(0).peak_allocated_bytes, after.peak_allocated_bytes);
}

}  // namespace
}  // namespace nkat::layers
