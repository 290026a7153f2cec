// The 8 channels of one block as one thread holds them: loads and stores of 16 bytes, arithmetic in Accumulate.
// bfloat16 is widened to float32 exactly and rounded to nearest even once, when stored.
#pragma once

#include <cuda_bf16.h>

namespace nkat::layers::device {

template <typename Scalar>
struct Channels;

template <>
struct Channels<float> {
  static __device__ __forceinline__ void load(const float* source, float (&x)[8]) {
    const float4 low = reinterpret_cast<const float4*>(source)[0], high = reinterpret_cast<const float4*>(source)[1];
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
  }
  static __device__ __forceinline__ void store(float* target, const float (&x)[8]) {
    reinterpret_cast<float4*>(target)[0] = make_float4(x[0], x[1], x[2], x[3]);
    reinterpret_cast<float4*>(target)[1] = make_float4(x[4], x[5], x[6], x[7]);
  }
};

template <>
struct Channels<double> {
  static __device__ __forceinline__ void load(const double* source, double (&x)[8]) {
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const double2 two = reinterpret_cast<const double2*>(source)[pair];
      x[2 * pair] = two.x, x[2 * pair + 1] = two.y;
    }
  }
  static __device__ __forceinline__ void store(double* target, const double (&x)[8]) {
#pragma unroll
    for (int pair = 0; pair < 4; ++pair)
      reinterpret_cast<double2*>(target)[pair] = make_double2(x[2 * pair], x[2 * pair + 1]);
  }
};

template <>
struct Channels<__nv_bfloat16> {
  static __device__ __forceinline__ void load(const __nv_bfloat16* source, float (&x)[8]) {
    const uint4 packed = *reinterpret_cast<const uint4*>(source);
    const unsigned int words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      x[2 * pair] = __uint_as_float(words[pair] << 16);
      x[2 * pair + 1] = __uint_as_float(words[pair] & 0xffff0000u);
    }
  }
  static __device__ __forceinline__ void store(__nv_bfloat16* target, const float (&x)[8]) {
    unsigned int words[4];
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const unsigned int low = __bfloat16_as_ushort(__float2bfloat16_rn(x[2 * pair]));
      const unsigned int high = __bfloat16_as_ushort(__float2bfloat16_rn(x[2 * pair + 1]));
      words[pair] = low | (high << 16);
    }
    *reinterpret_cast<uint4*>(target) = make_uint4(words[0], words[1], words[2], words[3]);
  }
};

}  // namespace nkat::layers::device
