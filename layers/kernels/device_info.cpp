#include "layers/kernels/device_info.h"

#include <algorithm>
#include <cuda_runtime_api.h>

#include <c10/cuda/CUDACachingAllocator.h>

namespace nkat::layers {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

// 0 without a driver, with one that is too old, or without a device; clears the runtime's error.
int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

// Two transfers per clock (kHz) over the bus (bits).
double peak_bandwidth(int device) {
  int kilohertz = 0, bits = 0;
  if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrMemoryClockRate, device) != cudaSuccess ||
      cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, device) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return 2.0 * kilohertz * 1e3 * bits / 8;
}

bool has_allocator(int device) { return device >= 0 && device < device_count() && allocator::get()->initialized(); }

std::uint64_t bytes(std::int64_t value) { return static_cast<std::uint64_t>(value); }

// The sum over the allocator's small and large pools.
const c10::CachingAllocator::Stat& total(const c10::CachingAllocator::StatArray& stats) {
  return stats[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

}  // namespace

std::uint64_t cuda_free_bytes(int device) {
  if (device < 0 || device >= device_count()) return 0;
  int before = 0;
  std::size_t available = 0, whole = 0;
  if (cudaGetDevice(&before) != cudaSuccess || cudaSetDevice(device) != cudaSuccess) return 0;
  if (cudaMemGetInfo(&available, &whole) != cudaSuccess) {
    cudaGetLastError();
    available = 0;
  }
  cudaSetDevice(before);
  return available;
}

bool built_with_cuda() { return true; }

std::vector<CudaDevice> cuda_devices() {
  std::vector<CudaDevice> devices;
  for (int device = 0; device < device_count(); ++device) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
      cudaGetLastError();
      continue;
    }
    devices.push_back({.name = properties.name,
                       .total_bytes = properties.totalGlobalMem,
                       .free_bytes = cuda_free_bytes(device),
                       .major = properties.major,
                       .minor = properties.minor,
                       .peak_bytes_per_second = peak_bandwidth(device)});
  }
  return devices;
}

CudaAllocatorStats cuda_allocator_stats(int device) {
  if (!has_allocator(device)) return {};
  const auto stats = allocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
  return {.allocated_bytes = bytes(total(stats.allocated_bytes).current),
          .reserved_bytes = bytes(total(stats.reserved_bytes).current),
          .peak_allocated_bytes = bytes(total(stats.allocated_bytes).peak),
          .peak_reserved_bytes = bytes(total(stats.reserved_bytes).peak)};
}

void cuda_reset_peak(int device) {
  if (has_allocator(device)) allocator::resetPeakStats(static_cast<c10::DeviceIndex>(device));
}

void cuda_empty_cache(int device) {
  if (has_allocator(device)) allocator::emptyCache();
}

std::uint64_t cuda_context_bytes(int device) {
  cudaDeviceProp properties;
  if (!has_allocator(device) || cudaGetDeviceProperties(&properties, device) != cudaSuccess) return 0;
  const std::uint64_t known = cuda_free_bytes(device) + cuda_allocator_stats(device).reserved_bytes;
  return properties.totalGlobalMem > known ? properties.totalGlobalMem - known : 0;
}

void cuda_limit_memory(int device, std::uint64_t bytes) {
  cudaDeviceProp properties;
  if (!has_allocator(device) || cudaGetDeviceProperties(&properties, device) != cudaSuccess) return;
  const double fraction = static_cast<double>(bytes) / static_cast<double>(properties.totalGlobalMem);
  allocator::setMemoryFraction(std::min(1.0, fraction), static_cast<c10::DeviceIndex>(device));
}

}  // namespace nkat::layers
