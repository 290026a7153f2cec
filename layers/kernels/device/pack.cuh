// kWidth neighboring elements as one thread holds them: 8 with loads of 16 bytes (channels.cuh), or 1 for rows whose
// length or address does not allow that. Arithmetic in SumOf<Scalar>, rounded to nearest even when stored.
#pragma once

#include "channels.cuh"

namespace nkat::layers::device {

// The type that values of Scalar are computed and summed in.
template <typename Scalar>
struct Arithmetic {
  using Type = float;
};
template <>
struct Arithmetic<double> {
  using Type = double;
};
template <typename Scalar>
using SumOf = typename Arithmetic<Scalar>::Type;

template <typename Scalar, int kWidth>
struct Pack;

template <typename Scalar>
struct Pack<Scalar, 8> : Channels<Scalar> {};

template <typename Scalar>
struct Pack<Scalar, 1> {
  static __device__ __forceinline__ void load(const Scalar* source, SumOf<Scalar> (&x)[1]) { x[0] = *source; }
  static __device__ __forceinline__ void store(Scalar* target, const SumOf<Scalar> (&x)[1]) { *target = x[0]; }
};

template <>
struct Pack<__nv_bfloat16, 1> {
  static __device__ __forceinline__ void load(const __nv_bfloat16* source, float (&x)[1]) {
    x[0] = __bfloat162float(*source);
  }
  static __device__ __forceinline__ void store(__nv_bfloat16* target, const float (&x)[1]) {
    *target = __float2bfloat16_rn(x[0]);
  }
};

// x as Scalar would store it.
template <typename Scalar>
__device__ __forceinline__ SumOf<Scalar> rounded_to(SumOf<Scalar> x) {
  return x;
}
template <>
__device__ __forceinline__ float rounded_to<__nv_bfloat16>(float x) {
  return __bfloat162float(__float2bfloat16_rn(x));
}

}  // namespace nkat::layers::device
