// R = exp((W - Wᵀ)/2) and dL/dW = skew part of the Fréchet derivative of exp at Aᵀ in the direction dL/dR: the CPU
// path's Taylor polynomial of degree 18, scaling and squaring, and the same recurrences differentiated
// (device/so8_rotation.cuh).
//   scaling          fixed: X = A / 64 and six squarings. Exact to rounding for 1-norms up to 64, which every A of
//                    spectral norm up to 24 has (24 rad; a run's weights stay below 2 pi). A matrix beyond it squares
//                    as often as its norm requires, counted on the device: correct for every finite norm, and nothing
//                    is copied to the host.
//   parallelization  8 lanes per matrix, 4 matrices per CTA of one warp
//   memory traffic   W (and dL/dR) read twice at most and R (dL/dW) written once: 128 or 192 values per matrix; the
//                    work is 25 or 110 products of 8 x 8 in float64
//   determinism      a matrix's bits depend on that matrix alone
//   outputs          always overwritten, never accumulated into
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/so8_rotation.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {
namespace {

template <typename Run>
void with_real(at::ScalarType type, const Run& run) {
  if (type == at::kDouble) return run(double{});
  TORCH_CHECK(type == at::kFloat, "so8_rotation: no kernel for ", type);
  run(float{});
}

unsigned ctas_for(std::int64_t matrices) {
  return static_cast<unsigned>((matrices + device::kMatricesPerCta - 1) / device::kMatricesPerCta);
}

}  // namespace

at::Tensor so8_rotation(const at::Tensor& weight) {
  const c10::cuda::CUDAGuard guard(weight.device());
  at::Tensor rotation = at::empty_like(weight);
  const std::int64_t count = weight.numel() / 64;
  if (count == 0) return rotation;
  with_real(weight.scalar_type(), [&](auto real) {
    using Real = decltype(real);
    device::so8_rotation<Real><<<ctas_for(count), 8 * device::kMatricesPerCta, 0, c10::cuda::getCurrentCUDAStream()>>>(
        pointer<const Real>(weight), pointer<Real>(rotation), count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return rotation;
}

at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient) {
  const c10::cuda::CUDAGuard guard(weight.device());
  at::Tensor weight_gradient = at::empty_like(weight);
  const std::int64_t count = weight.numel() / 64;
  if (count == 0) return weight_gradient;
  with_real(weight.scalar_type(), [&](auto real) {
    using Real = decltype(real);
    device::so8_rotation_backward<Real>
        <<<ctas_for(count), 8 * device::kMatricesPerCta, 0, c10::cuda::getCurrentCUDAStream()>>>(
            pointer<const Real>(weight), pointer<const Real>(rotation_gradient), pointer<Real>(weight_gradient), count);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return weight_gradient;
}

}  // namespace nkat::layers::kernels
