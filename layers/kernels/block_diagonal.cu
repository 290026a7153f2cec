// y = residual + M h per block of 8 channels, and its backward pass: dh = Mᵀ dy, dM_b = Σ_t dy_b h_bᵀ.
//   parallelization  one thread per block of 8 channels and 16 tokens of a chunk of 64 (device/block_diagonal.cuh)
//   memory traffic   forward reads h and residual and writes y once: 3 T H values. Backward reads dy and h and writes
//                    dh once; dM costs 64 N values per chunk more, written and read. M comes from the L2 cache, once
//                    per CTA.
//   determinism      no atomics: every sum is taken in an order that T alone fixes, so the same inputs give the same
//                    bits on every run
//   outputs          always overwritten, never accumulated into
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "layers/kernels/device/block_diagonal.cuh"
#include "layers/kernels/launch.cuh"
#include "layers/kernels/launchers.h"

namespace nkat::layers::kernels {
namespace {

// How each dtype of x is stored on the device, summed, and spread over a CTA; float64 halves the CTA to fit in 32 KiB.
struct Float {
  using Scalar = float;
  using Accumulate = float;
  static constexpr int kWarps = 4;
};
struct BFloat16 {
  using Scalar = __nv_bfloat16;
  using Accumulate = float;
  static constexpr int kWarps = 4;
};
struct Double {
  using Scalar = double;
  using Accumulate = double;
  static constexpr int kWarps = 2;
};

template <typename Run>
void with_type(at::ScalarType type, const Run& run) {
  switch (type) {
    case at::kFloat: return run(Float{});
    case at::kBFloat16: return run(BFloat16{});
    case at::kDouble: return run(Double{});
    default: TORCH_CHECK(false, "add_block_diagonal: no kernel for ", type);
  }
}

// The kernels load 16 bytes at a time; a view into a larger tensor may start in between.
at::Tensor aligned(const at::Tensor& tensor) {
  return reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 16 == 0 ? tensor : tensor.clone();
}

dim3 grid_of(const device::Extent& extent) {
  const auto chunks = (extent.tokens + device::kTokensPerChunk - 1) / device::kTokensPerChunk;
  const auto groups = (extent.blocks + device::kBlocksPerCta - 1) / device::kBlocksPerCta;
  return {static_cast<unsigned>(chunks), static_cast<unsigned>(groups)};
}

device::Extent extent_of(const at::Tensor& x /* (T, H) */) { return {x.size(0), static_cast<int>(x.size(1) / 8)}; }

template <typename Type>
void launch_backward(const device::BackwardArguments<typename Type::Scalar, typename Type::Accumulate>& arguments,
                     cudaStream_t stream) {
  using Scalar = typename Type::Scalar;
  using Accumulate = typename Type::Accumulate;
  constexpr int kWarps = Type::kWarps;
  const dim3 grid = grid_of(arguments.extent), threads(32, kWarps);
  if (arguments.h_gradient != nullptr && arguments.partials != nullptr)
    device::block_diagonal_backward<Scalar, Accumulate, kWarps, true, true><<<grid, threads, 0, stream>>>(arguments);
  else if (arguments.h_gradient != nullptr)
    device::block_diagonal_backward<Scalar, Accumulate, kWarps, true, false><<<grid, threads, 0, stream>>>(arguments);
  else
    device::block_diagonal_backward<Scalar, Accumulate, kWarps, false, true><<<grid, threads, 0, stream>>>(arguments);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename Accumulate>
void launch_add_chunks(const at::Tensor& partials /* (chunks, N, 8, 8) */, const at::Tensor& out /* (N, 8, 8) */,
                       cudaStream_t stream) {
  constexpr int kThreads = 128;
  const auto entries = out.numel();
  device::add_chunks<Accumulate><<<static_cast<unsigned>((entries + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      pointer<Accumulate>(partials), pointer<Accumulate>(out), partials.size(0), entries);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices) {
  const c10::cuda::CUDAGuard guard(h.device());
  at::Tensor out = at::empty_like(h);
  if (out.numel() == 0) return out;
  const at::Tensor start = aligned(residual), x = aligned(h), m = aligned(matrices);
  with_type(h.scalar_type(), [&](auto type) {
    using Type = decltype(type);
    using Scalar = typename Type::Scalar;
    using Accumulate = typename Type::Accumulate;
    const device::Extent extent = extent_of(x);
    device::add_block_diagonal<Scalar, Accumulate, Type::kWarps>
        <<<grid_of(extent), dim3(32, Type::kWarps), 0, c10::cuda::getCurrentCUDAStream()>>>(
            pointer<const Scalar>(start), pointer<const Scalar>(x), pointer<const Accumulate>(m), pointer<Scalar>(out),
            extent);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

BlockDiagonalGradient block_diagonal_backward(const at::Tensor& gradient, const at::Tensor& h,
                                              const at::Tensor& matrices, std::array<bool, 2> needs) {
  const c10::cuda::CUDAGuard guard(gradient.device());
  const auto [needs_h, needs_matrices] = needs;
  BlockDiagonalGradient out{.h = needs_h ? at::empty_like(gradient) : at::Tensor(),
                            .matrices = needs_matrices ? at::zeros_like(matrices) : at::Tensor()};
  if (gradient.numel() == 0 || (!needs_h && !needs_matrices)) return out;
  const at::Tensor dy = aligned(gradient), x = needs_matrices ? aligned(h) : at::Tensor(), m = aligned(matrices);
  const device::Extent extent = extent_of(dy);
  const auto chunks = static_cast<std::int64_t>(grid_of(extent).x);
  at::Tensor partials = out.matrices;  // one chunk needs no second pass
  if (needs_matrices && chunks > 1) partials = at::empty({chunks, matrices.size(0), 8, 8}, matrices.options());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  with_type(gradient.scalar_type(), [&](auto type) {
    using Type = decltype(type);
    using Scalar = typename Type::Scalar;
    using Accumulate = typename Type::Accumulate;
    launch_backward<Type>({.gradient = pointer<const Scalar>(dy),
                           .h = pointer<const Scalar>(x),
                           .matrices = pointer<const Accumulate>(m),
                           .h_gradient = pointer<Scalar>(out.h),
                           .partials = pointer<Accumulate>(partials),
                           .extent = extent},
                          stream);
    if (needs_matrices && chunks > 1) launch_add_chunks<Accumulate>(partials, out.matrices, stream);
  });
  return out;
}

}  // namespace nkat::layers::kernels
