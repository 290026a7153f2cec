// Reduction over the threads of a CTA, with the result in every thread: within a warp by a butterfly, then the warps in
// order. The order depends on kThreads alone, so the bits are the same on every run.
#pragma once

namespace nkat::layers::device {

struct Sum {
  template <typename Value>
  __device__ __forceinline__ Value operator()(Value a, Value b) const {
    return a + b;
  }
};

// A NaN loses against a number.
struct Largest {
  template <typename Value>
  __device__ __forceinline__ Value operator()(Value a, Value b) const {
    return a < b || a != a ? b : a;
  }
};

// Every thread of the CTA, (kThreads, 1, 1), takes part.
template <int kThreads, typename Combine, typename Value>
__device__ __forceinline__ Value block_reduce(Value value) {
  const Combine combine;
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  __shared__ Value of_warp[kThreads / 32];
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warp[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) value = combine(value, of_warp[warp]);
  __syncthreads();  // of_warp may be written again
  return value;
}

}  // namespace nkat::layers::device
