// (a, b) -> (a cos - b sin, b cos + a sin) for channels i and i + d/2 of each query and key head (device/rope.cuh).
//   parallelization  one CTA of 128 threads per token, 8 pairs of channels per thread and step
//   memory traffic   the rotated channels of q and k read and written once, in place; v is not touched; a token's
//                    cos and sin are read by every head, all but the first time from the cache.
//   determinism      every channel is computed independently
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/rope.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {

void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back) {
  constexpr const char* kWho = "rotary embedding";
  const c10::cuda::CUDAGuard guard(rows.device());
  const std::int64_t half = angles.cos.size(1);
  if (rows.size(0) == 0 || half * heads.count == 0) return;
  with_element(kWho, rows.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    row_length(kWho, rows.size(1));  // so do the heads of a row, which the kernel counts
    const device::RopeArguments<Scalar> arguments{.rows = pointer<Scalar>(rows),
                                                  .cos = pointer<const Scalar>(angles.cos),
                                                  .sin = pointer<const Scalar>(angles.sin),
                                                  .row_length = rows.size(1),
                                                  .half = static_cast<int>(half),
                                                  .heads = static_cast<int>(heads.count),
                                                  .head_dim = static_cast<int>(heads.head_dim),
                                                  .direction = back ? -1.0f : 1.0f};
    with_width({rows.size(1), half, heads.head_dim}, {rows, angles.cos, angles.sin}, [&](auto width) {
      device::rotate_heads<Scalar, decltype(width)::value>
          <<<static_cast<unsigned>(rows.size(0)), device::kRopeThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
              arguments);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace nkat::layers::kernels
