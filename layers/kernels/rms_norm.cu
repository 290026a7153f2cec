// y = round(round(x scale) w), scale = 1 / sqrt(mean(x²) + eps), and dx = scale (g - n mean(g n)) with n = x scale,
// g = w dy (device/rms_norm.cuh).
//   parallelization  one CTA of 128 threads per row, 8 channels per thread and step
//   memory traffic   forward reads x and writes y once, 2 T H values; backward reads dy and x and writes dx, 3 T H;
//                    both read their row a second time from the cache (6 KiB at H = 3072 in bfloat16), w always.
//   determinism      no atomics: the sum over a row runs in an order that H and the alignment fix (block_reduce.cuh)
//   outputs          always overwritten, never accumulated into
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/rms_norm.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {
namespace {

constexpr const char* kNormName = "RMSNorm";

}  // namespace

RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const c10::cuda::CUDAGuard guard(x.device());
  const auto exact = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  RmsNormResult result{.y = at::empty_like(x), .scale = at::empty({x.size(0), 1}, x.options().dtype(exact))};
  if (x.size(0) == 0) return result;
  with_element(kNormName, x.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    const device::NormArguments<Scalar> arguments{.x = pointer<const Scalar>(x),
                                                  .weight = pointer<const Scalar>(weight),
                                                  .y = pointer<Scalar>(result.y),
                                                  .scale = pointer<device::SumOf<Scalar>>(result.scale),
                                                  .channels = row_length(kNormName, x.size(1)),
                                                  .epsilon = static_cast<device::SumOf<Scalar>>(epsilon)};
    with_width({x.size(1)}, {x, weight, result.y}, [&](auto width) {
      device::rms_norm<Scalar, decltype(width)::value>
          <<<static_cast<unsigned>(x.size(0)), device::kNormThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(arguments);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return result;
}

at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale) {
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor x_gradient = at::empty_like(x);
  if (x.size(0) == 0) return x_gradient;
  with_element(kNormName, x.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    const device::NormBackwardArguments<Scalar> arguments{.gradient = pointer<const Scalar>(gradient),
                                                          .x = pointer<const Scalar>(x),
                                                          .weight = pointer<const Scalar>(weight),
                                                          .scale = pointer<const device::SumOf<Scalar>>(scale),
                                                          .x_gradient = pointer<Scalar>(x_gradient),
                                                          .channels = row_length(kNormName, x.size(1))};
    with_width({x.size(1)}, {gradient, x, weight, x_gradient}, [&](auto width) {
      device::rms_norm_backward<Scalar, decltype(width)::value>
          <<<static_cast<unsigned>(x.size(0)), device::kNormThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(arguments);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return x_gradient;
}

}  // namespace nkat::layers::kernels
