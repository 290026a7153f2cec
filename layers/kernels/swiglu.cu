// y = up gate s, and d gate = dy up s (1 + gate (1 - s)), d up = dy gate s, with s = sigmoid(gate) (device/swiglu.cuh).
//   parallelization  one CTA of 256 threads per token and 2048 channels, 8 channels per thread
//   memory traffic   forward reads gate and up and writes y once, 3 T F values; backward reads dy, gate and up and
//                    writes both gradients, 5 T F
//   determinism      every channel is computed independently
//   outputs          always overwritten, never accumulated into
#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/swiglu.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {
namespace {

constexpr const char* kSwigluName = "SwiGLU";
constexpr std::int64_t kLargestGridHeight = 65535;

dim3 grid_of(std::int64_t rows, std::int64_t width, std::int64_t channels_a_thread) {
  const std::int64_t stretch = device::kSwigluThreads * channels_a_thread;
  const std::int64_t stretches = std::min(kLargestGridHeight, (width + stretch - 1) / stretch);
  return {static_cast<unsigned>(rows), static_cast<unsigned>(stretches)};
}

template <typename Scalar>
device::SwigluArguments<Scalar> arguments_of(const at::Tensor& gate_up, const at::Tensor& gradient,
                                             const at::Tensor& out) {
  row_length(kSwigluName, gate_up.size(1));
  return {.gate_up = pointer<const Scalar>(gate_up),
          .gradient = pointer<const Scalar>(gradient),
          .out = pointer<Scalar>(out),
          .width = static_cast<int>(gate_up.size(1) / 2)};
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  const c10::cuda::CUDAGuard guard(gate_up.device());
  const std::int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty({rows, width}, gate_up.options());
  if (out.numel() == 0) return out;
  with_element(kSwigluName, gate_up.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    with_width({width}, {gate_up, out}, [&](auto channels) {
      device::swiglu<Scalar, decltype(channels)::value>
          <<<grid_of(rows, width, channels), device::kSwigluThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
              arguments_of<Scalar>(gate_up, {}, out));
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up) {
  const c10::cuda::CUDAGuard guard(gate_up.device());
  const std::int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty_like(gate_up);
  if (out.numel() == 0) return out;
  with_element(kSwigluName, gate_up.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    with_width({width}, {gradient, gate_up, out}, [&](auto channels) {
      device::swiglu_backward<Scalar, decltype(channels)::value>
          <<<grid_of(rows, width, channels), device::kSwigluThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
              arguments_of<Scalar>(gate_up, gradient, out));
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

}  // namespace nkat::layers::kernels
