// Device code of RMSNorm: one CTA per row, which it reads twice, the second time from the cache.
#pragma once

#include "block_reduce.cuh"
#include "pack.cuh"

namespace nkat::layers::device {

constexpr int kNormThreads = 128;  // x 8 channels: Phi-3.5's 3072 in three steps

template <typename Scalar>
struct NormArguments {
  const Scalar* x;       // (T, H)
  const Scalar* weight;  // (H)
  Scalar* y;             // (T, H)
  SumOf<Scalar>* scale;  // (T)
  int channels;          // H
  SumOf<Scalar> epsilon;
};

// scale = 1 / sqrt(mean(x^2) + eps), y = round(round(x scale) w)
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kNormThreads) rms_norm(NormArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  const int first = static_cast<int>(threadIdx.x) * kWidth, channels = arguments.channels;
  const long long row = static_cast<long long>(blockIdx.x) * channels;
  Value x[kWidth], w[kWidth], squares = 0;
  for (int i = first; i < channels; i += kNormThreads * kWidth) {
    Pack<Scalar, kWidth>::load(arguments.x + row + i, x);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) squares += x[j] * x[j];
  }
  squares = block_reduce<kNormThreads, Sum>(squares);
  const Value scale = Value(1) / sqrt(squares / static_cast<Value>(channels) + arguments.epsilon);
  if (threadIdx.x == 0) arguments.scale[blockIdx.x] = scale;
  for (int i = first; i < channels; i += kNormThreads * kWidth) {
    Pack<Scalar, kWidth>::load(arguments.x + row + i, x);
    Pack<Scalar, kWidth>::load(arguments.weight + i, w);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) x[j] = rounded_to<Scalar>(x[j] * scale) * w[j];
    Pack<Scalar, kWidth>::store(arguments.y + row + i, x);
  }
}

template <typename Scalar>
struct NormBackwardArguments {
  const Scalar* gradient;      // dy (T, H)
  const Scalar* x;             // (T, H)
  const Scalar* weight;        // (H)
  const SumOf<Scalar>* scale;  // (T)
  Scalar* x_gradient;          // dx (T, H)
  int channels;                // H
};

// With n = x scale and g = w dy:  dx = scale (g - n mean(g n))
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kNormThreads) rms_norm_backward(NormBackwardArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  const int first = static_cast<int>(threadIdx.x) * kWidth, channels = arguments.channels;
  const long long row = static_cast<long long>(blockIdx.x) * channels;
  const Value scale = arguments.scale[blockIdx.x];
  Value x[kWidth], g[kWidth], w[kWidth], products = 0;
  const auto load = [&](int i) {
    Pack<Scalar, kWidth>::load(arguments.x + row + i, x);
    Pack<Scalar, kWidth>::load(arguments.gradient + row + i, g);
    Pack<Scalar, kWidth>::load(arguments.weight + i, w);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) g[j] *= w[j];
  };
  for (int i = first; i < channels; i += kNormThreads * kWidth) {
    load(i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) products += x[j] * g[j];
  }
  const Value mean = block_reduce<kNormThreads, Sum>(products) * scale / static_cast<Value>(channels);
  for (int i = first; i < channels; i += kNormThreads * kWidth) {
    load(i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) x[j] = (g[j] - x[j] * scale * mean) * scale;
    Pack<Scalar, kWidth>::store(arguments.x_gradient + row + i, x);
  }
}

}  // namespace nkat::layers::device
