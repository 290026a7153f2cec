// Device code of SwiGLU: blockIdx.x is the token, blockIdx.y a range of its F channels; a thread owns kWidth of them.
#pragma once

#include "pack.cuh"

namespace nkat::layers::device {

constexpr int kSwigluThreads = 256;

template <typename Scalar>
struct SwigluArguments {
  const Scalar* gate_up;   // (T, 2F)
  const Scalar* gradient;  // dy (T, F), null in the forward pass
  Scalar* out;             // (T, F), or (T, 2F) in the backward pass
  int width;               // F
};

// exp(-x) overflows to infinity for x below -88 (float64: -709), which makes the sigmoid its limit, 0.
template <typename Value>
__device__ __forceinline__ Value sigmoid(Value x) {
  return Value(1) / (Value(1) + exp(-x));
}

__device__ __forceinline__ int first_channel(int width) {
  return static_cast<int>(blockIdx.y * kSwigluThreads + threadIdx.x) * width;
}
__device__ __forceinline__ int channel_step(int width) { return static_cast<int>(gridDim.y) * kSwigluThreads * width; }

// y = gate sigmoid(gate) up
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kSwigluThreads) swiglu(SwigluArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  const long long row = static_cast<long long>(blockIdx.x) * arguments.width;
  for (int i = first_channel(kWidth); i < arguments.width; i += channel_step(kWidth)) {
    Value gate[kWidth], up[kWidth];
    Pack<Scalar, kWidth>::load(arguments.gate_up + 2 * row + i, gate);
    Pack<Scalar, kWidth>::load(arguments.gate_up + 2 * row + arguments.width + i, up);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) up[j] *= gate[j] * sigmoid(gate[j]);
    Pack<Scalar, kWidth>::store(arguments.out + row + i, up);
  }
}

// With s = sigmoid(gate):  d gate = dy up s (1 + gate (1 - s)),  d up = dy gate s
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kSwigluThreads) swiglu_backward(SwigluArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  const long long row = static_cast<long long>(blockIdx.x) * arguments.width;
  for (int i = first_channel(kWidth); i < arguments.width; i += channel_step(kWidth)) {
    Value gate[kWidth], up[kWidth], dy[kWidth];
    Pack<Scalar, kWidth>::load(arguments.gate_up + 2 * row + i, gate);
    Pack<Scalar, kWidth>::load(arguments.gate_up + 2 * row + arguments.width + i, up);
    Pack<Scalar, kWidth>::load(arguments.gradient + row + i, dy);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const Value g = gate[j], s = sigmoid(g);
      gate[j] = dy[j] * up[j] * s * (1 + g * (1 - s));
      up[j] = dy[j] * g * s;
    }
    Pack<Scalar, kWidth>::store(arguments.out + 2 * row + i, gate);
    Pack<Scalar, kWidth>::store(arguments.out + 2 * row + arguments.width + i, up);
  }
}

}  // namespace nkat::layers::device
