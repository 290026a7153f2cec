// Device code of the cross-entropy: one CTA per row. The first pass keeps, in every thread, the largest logit so far
// and the sum of exponentials relative to it (online softmax; Milakov, Gimelshein 2018); the second writes the
// gradient.
#pragma once

#include "block_reduce.cuh"
#include "pack.cuh"

namespace nkat::layers::device {

constexpr int kLossThreads = 512;

template <typename Scalar>
struct LossArguments {
  Scalar* logits;            // (C, V), overwritten by their gradient if wanted
  const long long* targets;  // (C), in [0, V)
  SumOf<Scalar>* losses;     // (C)
  int vocabulary;            // V
  bool wants_gradient;
  double scale;
};

template <typename Value>
struct Exponentials {
  Value largest;
  Value sum;  // of exp(x - largest)
};

template <typename Value, int kWidth>
__device__ __forceinline__ void add_logits(const Value (&x)[kWidth], Exponentials<Value>& so_far) {
  Value largest = so_far.largest;
#pragma unroll
  for (int j = 0; j < kWidth; ++j) largest = Largest()(largest, x[j]);
  if (largest > so_far.largest) so_far = {largest, so_far.sum * exp(so_far.largest - largest)};
#pragma unroll
  for (int j = 0; j < kWidth; ++j) so_far.sum += exp(x[j] - largest);
}

// loss = log sum exp(logits) - logits[target];  gradient = scale (softmax(logits) - onehot(target))
template <typename Scalar, int kWidth>
__global__ void __launch_bounds__(kLossThreads) softmax_loss(LossArguments<Scalar> arguments) {
  using Value = SumOf<Scalar>;
  Scalar* logits = arguments.logits + static_cast<long long>(blockIdx.x) * arguments.vocabulary;
  const int first = static_cast<int>(threadIdx.x) * kWidth;
  const int target = static_cast<int>(arguments.targets[blockIdx.x]);
  Value x[kWidth], at_target[1];
  Pack<Scalar, 1>::load(logits + target, at_target);
  // The lowest finite number, so that logits of minus infinity add exp(-infinity) = 0.
  Exponentials<Value> mine = {sizeof(Value) == 4 ? Value(-3.402823466e38) : Value(-1.7976931348623157e308), Value(0)};
  for (int i = first; i < arguments.vocabulary; i += kLossThreads * kWidth) {
    Pack<Scalar, kWidth>::load(logits + i, x);
    add_logits(x, mine);
  }
  const Value largest = block_reduce<kLossThreads, Largest>(mine.largest);
  const Value sum = block_reduce<kLossThreads, Sum>(mine.sum * exp(mine.largest - largest));
  if (threadIdx.x == 0)
    arguments.losses[blockIdx.x] = static_cast<Value>(
        log(static_cast<double>(sum)) + (static_cast<double>(largest) - static_cast<double>(at_target[0])));
  if (!arguments.wants_gradient) return;
  const Value scale = static_cast<Value>(arguments.scale), factor = scale / sum;
  for (int i = first; i < arguments.vocabulary; i += kLossThreads * kWidth) {
    Pack<Scalar, kWidth>::load(logits + i, x);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) x[j] = exp(x[j] - largest) * factor - (i + j == target ? scale : Value(0));
    Pack<Scalar, kWidth>::store(logits + i, x);
  }
}

}  // namespace nkat::layers::device
