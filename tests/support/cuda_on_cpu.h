// Runs a CUDA kernel's own source on the CPU: include this before the device code. A CTA's threads are fibers that take
// turns between barriers, __shared__ is one static array (CTAs run one after another), and each barrier and shuffle
// waits for the whole CTA.
// When to use: to hold a kernel's indexing and arithmetic to a reference where there is no GPU.
// What it can't show: races between barriers, memory alignment, the device's own rounding of exp, the launch itself.
// A kernel must bring all threads of a CTA to each __syncthreads, __syncwarp and shuffle; shuffles move 8 bytes at
// most.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <cuda_bf16.h>
#include <functional>
#include <math.h>
#include <ucontext.h>
#include <vector>

#undef __shared__
#undef __global__
#undef __launch_bounds__
#define __shared__ static
#define __global__
#define __launch_bounds__(threads)

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
using std::max;
using std::min;

namespace nkat::testing {

struct Fiber {
  ucontext_t context;
  std::vector<std::byte> stack = std::vector<std::byte>(64 * 1024);
  bool done = false;
};

inline ucontext_t scheduler;
inline Fiber* running = nullptr;
inline std::function<void()> kernel_call;
inline std::array<unsigned long long, 1024> shuffled;  // 1024 is the most threads that a CTA can have

inline void run_fiber() {
  kernel_call();
  running->done = true;
}

// One CTA: every fiber runs to its next barrier in turn, until all have returned.
inline void run_cta(std::vector<Fiber>& fibers) {
  for (Fiber& fiber : fibers) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    fiber.done = false;
    makecontext(&fiber.context, run_fiber, 0);
  }
  while (std::ranges::any_of(fibers, [](const Fiber& fiber) { return !fiber.done; })) {
    for (unsigned i = 0; i < fibers.size(); ++i) {
      if (fibers[i].done) continue;
      threadIdx = {i % blockDim.x, i / blockDim.x, 0};
      running = &fibers[i];
      swapcontext(&scheduler, &fibers[i].context);
    }
  }
}

// kernel<<<grid, threads>>>(arguments...)
template <typename Kernel, typename... Arguments>
void run_on_cpu(dim3 grid, dim3 threads, Kernel kernel, const Arguments&... arguments) {
  blockDim = threads;
  gridDim = grid;
  kernel_call = [&] { kernel(arguments...); };
  std::vector<Fiber> fibers(threads.x * threads.y);
  for (unsigned cta = 0; cta < grid.x * grid.y; ++cta) {
    blockIdx = {cta % grid.x, cta / grid.x, 0};
    run_cta(fibers);
  }
}

}  // namespace nkat::testing

inline void __syncthreads() { swapcontext(&nkat::testing::running->context, &nkat::testing::scheduler); }
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
