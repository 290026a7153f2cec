// Seconds that a call takes on a device: one call, or the best of several rounds.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>

#include <ATen/core/Tensor.h>
#include <torch/cuda.h>

namespace nkat::testing {

// What the device had to do before is waited for, and so is the call.
inline double seconds_of(const at::Device& device, const std::function<void()>& call) {
  const auto wait = [&] {
    if (device.is_cuda()) torch::cuda::synchronize();
  };
  wait();
  const auto start = std::chrono::steady_clock::now();
  call();
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Timing {
  int rounds = 7, calls = 20;
};
inline Timing timing;

// Of one call, in the best round.
inline double best_seconds_of(const at::Device& device, const std::function<void()>& call) {
  call();
  const auto round_of_calls = [&] {
    for (int i = 0; i < timing.calls; ++i) call();
  };
  double best = seconds_of(device, round_of_calls);
  for (int round = 1; round < timing.rounds; ++round) best = std::min(best, seconds_of(device, round_of_calls));
  return best / timing.calls;
}

}  // namespace nkat::testing
