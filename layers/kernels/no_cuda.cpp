// Stands in for the kernels in a build without nvcc (NKAT_CUDA=OFF): no devices, and every launcher throws.
#include "core/error.h"
#include "layers/kernels/device_info.h"
#include "layers/kernels/launchers.h"
#include "layers/kernels/nccl_group.h"

namespace nkat::layers {
namespace {

[[noreturn]] void refuse(const char* who) {
  throw DeviceError(std::string(who) +
                    ": a CUDA tensor needs a CUDA build, and this program was built without CUDA kernels "
                    "(NKAT_CUDA=OFF); build the release preset or use --device cpu");
}

}  // namespace

bool built_with_cuda() { return false; }
std::vector<CudaDevice> cuda_devices() { return {}; }
std::uint64_t cuda_free_bytes(int /*device*/) { return 0; }
CudaAllocatorStats cuda_allocator_stats(int /*device*/) { return {}; }
void cuda_reset_peak(int /*device*/) {}
void cuda_empty_cache(int /*device*/) {}
std::uint64_t cuda_context_bytes(int /*device*/) { return 0; }
void cuda_limit_memory(int /*device*/, std::uint64_t /*bytes*/) {}

c10::intrusive_ptr<c10d::Backend> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& /*store*/, int /*rank*/,
                                                  int /*size*/, std::chrono::milliseconds /*timeout*/) {
  refuse("ranks on GPUs");
}

namespace kernels {

at::Tensor add_block_diagonal(const at::Tensor& /*residual*/, const at::Tensor& /*h*/, const at::Tensor& /*matrices*/) {
  refuse("add_block_diagonal");
}

BlockDiagonalGradient block_diagonal_backward(const at::Tensor& /*gradient*/, const at::Tensor& /*h*/,
                                              const at::Tensor& /*matrices*/, std::array<bool, 2> /*needs*/) {
  refuse("add_block_diagonal");
}

RmsNormResult rms_norm(const at::Tensor& /*x*/, const at::Tensor& /*weight*/, double /*epsilon*/) { refuse("RMSNorm"); }

at::Tensor rms_norm_backward(const at::Tensor& /*gradient*/, const at::Tensor& /*x*/, const at::Tensor& /*weight*/,
                             const at::Tensor& /*scale*/) {
  refuse("RMSNorm");
}

void rotate_heads_(const at::Tensor& /*rows*/, const RopeAngles& /*angles*/, HeadSpan /*heads*/, bool /*back*/) {
  refuse("rotary embedding");
}

at::Tensor so8_rotation(const at::Tensor& /*weight*/) { refuse("so8_rotation"); }

at::Tensor so8_rotation_backward(const at::Tensor& /*weight*/, const at::Tensor& /*rotation_gradient*/) {
  refuse("so8_rotation");
}

at::Tensor swiglu(const at::Tensor& /*gate_up*/) { refuse("SwiGLU"); }

at::Tensor swiglu_backward(const at::Tensor& /*gradient*/, const at::Tensor& /*gate_up*/) { refuse("SwiGLU"); }

void softmax_loss_(const at::Tensor& /*logits*/, const at::Tensor& /*targets*/, const at::Tensor& /*losses*/,
                   const SoftmaxGradient& /*gradient*/) {
  refuse("cross_entropy");
}

}  // namespace kernels
}  // namespace nkat::layers
