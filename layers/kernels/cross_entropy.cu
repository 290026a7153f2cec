// loss = log sum exp(logits) - logits[target], and logits <- scale (softmax(logits) - onehot(target)), in place
// (device/cross_entropy.cuh).
//   parallelization  one CTA of 512 threads per row, 8 logits per thread and step
//   memory traffic   logits read and written once, 2 C V values; the second pass reads them again, from the L2 cache
//                    (64 KiB per row of Phi-3.5 in bfloat16)
//   precision        exponentials and their sums in float32 (float64 for float64): at V = 32064, 63 terms per thread
//                    and 21 additions over the threads; the row's logarithm and difference in float64, by one thread
//   determinism      no atomics: the sum over a row runs in an order that V and the alignment fix (block_reduce.cuh)
//   outputs          always overwritten, never accumulated into
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/cross_entropy.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {

void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient) {
  constexpr const char* kWho = "cross_entropy";
  const c10::cuda::CUDAGuard guard(logits.device());
  if (logits.size(0) == 0) return;
  with_element(kWho, logits.scalar_type(), [&](auto element) {
    using Scalar = decltype(element);
    const device::LossArguments<Scalar> arguments{.logits = pointer<Scalar>(logits),
                                                  .targets = pointer<const long long>(targets),
                                                  .losses = pointer<device::SumOf<Scalar>>(losses),
                                                  .vocabulary = row_length(kWho, logits.size(1)),
                                                  .wants_gradient = gradient.wanted,
                                                  .scale = gradient.scale};
    with_width({logits.size(1)}, {logits}, [&](auto width) {
      device::softmax_loss<Scalar, decltype(width)::value>
          <<<static_cast<unsigned>(logits.size(0)), device::kLossThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
              arguments);
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace nkat::layers::kernels
