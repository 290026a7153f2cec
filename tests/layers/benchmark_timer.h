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

struct Timing {
  int rounds = 7, calls = 20;
};
inline Timing timing;

// The best of several rounds, each waited for once.
inline double seconds_of(const at::Device& device, const std::function<void()>& call) {
  call();
  double best = 1e9;
  for (int round = 0; round < timing.rounds; ++round) {
    wait_for(device);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < timing.calls; ++i) call();
    wait_for(device);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best / timing.calls;
}

}  // namespace nkat::layers
