// The CUDA devices and what LibTorch's caching allocator holds on them, without any CUDA header.
// When to use: the choice of a device, the trainer's memory monitor and what generation may cache. All sizes are bytes.
// In a build without CUDA, or without a driver, the list is empty and every figure 0; nothing is printed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nkat::layers {

struct CudaDevice {
  std::string name;
  std::uint64_t total_bytes;
  std::uint64_t free_bytes;
  int major;  // compute capability
  int minor;
  double peak_bytes_per_second;  // memory bandwidth, from clock and bus width; 0 if unknown
};

// Whether the program was built with the CUDA kernels (NKAT_CUDA).
bool built_with_cuda();

// The devices in CUDA's order. Opens a context on each device (about 300 MB there), to ask for its free bytes.
std::vector<CudaDevice> cuda_devices();

// Free bytes of one device, net of other processes; 0 if there is no such device.
std::uint64_t cuda_free_bytes(int device);

struct CudaAllocatorStats {
  std::uint64_t allocated_bytes;       // held by tensors
  std::uint64_t reserved_bytes;        // taken from the driver, cached blocks included
  std::uint64_t peak_allocated_bytes;  // since the last reset
  std::uint64_t peak_reserved_bytes;
};

// All 0 before the first tensor on a device.
CudaAllocatorStats cuda_allocator_stats(int device);

void cuda_reset_peak(int device);

// Returns the cached blocks of every device to the driver.
void cuda_empty_cache(int device);

// Bytes in use on the device beside what the allocator holds: the driver's context, libraries, other processes.
std::uint64_t cuda_context_bytes(int device);

// From now on the allocator throws c10::OutOfMemoryError beyond this many bytes of the device.
void cuda_limit_memory(int device, std::uint64_t bytes);

}  // namespace nkat::layers
