// Runs a CUDA kernel's own source on the CPU: include this before the device code. Every thread of a CTA is a thread
// here, __shared__ is one static array (CTAs run one after another), and each barrier and shuffle waits for the whole
// CTA. When to use: to hold a kernel's indexing and arithmetic to a reference where there is no GPU. What it can't
// show: races between warps, memory alignment, the device's own rounding of exp, the launch itself. A kernel must bring
// all threads of a CTA to each __syncthreads, __syncwarp and shuffle; shuffles move 8 bytes at most.
#pragma once

// The toolkit's header of conversions; its own shadowing and unused names are not ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#include <cuda_bf16.h>
#pragma GCC diagnostic pop
#pragma GCC diagnostic ignored "-Wunknown-pragmas"  // #pragma unroll

#include <math.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <bit>
#include <cstring>
#include <thread>
#include <vector>

#undef __shared__
#undef __global__
#undef __launch_bounds__
#define __shared__ static
#define __global__
#define __launch_bounds__(threads)

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;
using std::max;
using std::min;

namespace nkat::testing {

inline std::barrier<>* cta_barrier = nullptr;
inline std::array<unsigned long long, 1024> shuffled;

}  // namespace nkat::testing

inline void __syncthreads() { nkat::testing::cta_barrier->arrive_and_wait(); }
inline void __syncwarp() { __syncthreads(); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }

template <typename Value>
Value __shfl_xor_sync(unsigned /*mask*/, Value value, int lanes) {
  const unsigned own = threadIdx.x + blockDim.x * threadIdx.y;
  std::memcpy(&nkat::testing::shuffled[own], &value, sizeof(value));
  __syncthreads();
  std::memcpy(&value, &nkat::testing::shuffled[own ^ static_cast<unsigned>(lanes)], sizeof(value));
  __syncthreads();
  return value;
}

namespace nkat::testing {

// kernel<<<grid, threads>>>(arguments...)
template <typename Kernel, typename... Arguments>
void run_on_cpu(dim3 grid, dim3 threads, Kernel kernel, const Arguments&... arguments) {
  const unsigned count = threads.x * threads.y;
  std::barrier<> barrier(count);
  cta_barrier = &barrier;
  std::vector<std::jthread> running;
  for (unsigned i = 0; i < count; ++i) {
    running.emplace_back([&, i] {
      threadIdx = {i % threads.x, i / threads.x, 0};
      blockDim = threads;
      gridDim = grid;
      for (unsigned cta = 0; cta < grid.x * grid.y; ++cta) {
        blockIdx = {cta % grid.x, cta / grid.x, 0};
        kernel(arguments...);
        barrier.arrive_and_wait();
      }
    });
  }
}

}  // namespace nkat::testing
