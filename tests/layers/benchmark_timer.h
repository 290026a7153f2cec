// Seconds that a call takes on a device, the best of several rounds.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace nkat::layers {

inline void wait_for(const at::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize();
}

// The best of several rounds, each waited for once.
inline double seconds_of(const at::Device& device, const std::function<void()>& call) {
  constexpr int kRounds = 7, kCallsPerRound = 20;
  call();
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    wait_for(device);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCallsPerRound; ++i) call();
    wait_for(device);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best / kCallsPerRound;
}

}  // namespace nkat::layers
