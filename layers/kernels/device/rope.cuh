// Device code of the rotary embedding: one CTA per token; a thread rotates kWidth neighboring channels of a head's
// first half with their partners of the second.
#pragma once

#include "pack.cuh"

namespace nkat::layers::device {

constexpr int kRopeThreads = 128;

template <typename Scalar>
struct RopeArguments {
  Scalar* rows;       // (T, row_length)
  const Scalar* cos;  // (T, half)
  const Scalar* sin;  // (T, half)
  long long row_length;
  int half, heads, head_dim;
  float direction;  // of the sine: 1, or -1 in the backward pass
};

// (a, b) -> (a cos - b sin, b cos + a sin)
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kRopeThreads) rotate_heads(RopeArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  const int pieces = arguments.half / kWidth;
  const long long row = blockIdx.x;
  for (int unit = static_cast<int>(threadIdx.x); unit < arguments.heads * pieces; unit += kRopeThreads) {
    const int head = unit / pieces, i = unit % pieces * kWidth;
    Scalar* first = arguments.rows + row * arguments.row_length + static_cast<long long>(head) * arguments.head_dim + i;
    Scalar* second = first + arguments.half;
    Value a[kWidth], b[kWidth], c[kWidth], s[kWidth];
    Pack<Scalar, kWidth>::load(first, a);
    Pack<Scalar, kWidth>::load(second, b);
    Pack<Scalar, kWidth>::load(arguments.cos + row * arguments.half + i, c);
    Pack<Scalar, kWidth>::load(arguments.sin + row * arguments.half + i, s);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const Value before = a[j], sine = arguments.direction * s[j];
      a[j] = before * c[j] - b[j] * sine;
      b[j] = b[j] * c[j] + before * sine;
    }
    Pack<Scalar, kWidth>::store(first, a);
    Pack<Scalar, kWidth>::store(second, b);
  }
}

}  // namespace nkat::layers::device
