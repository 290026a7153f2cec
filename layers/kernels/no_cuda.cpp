// The kernels' stand-in when the program is built without nvcc (NKAT_CUDA=OFF): no device, and every launcher says why.
#include "core/error.h"
#include "layers/kernels/block_rotation.h"
#include "layers/kernels/device_info.h"
#include "layers/kernels/nccl_group.h"

namespace nkat::layers {
namespace {

[[noreturn]] void refuse(const char* who) {
  throw DeviceError(std::string(who) +
                    ": a CUDA tensor needs a CUDA build, and this program was built without CUDA kernels "
                    "(NKAT_CUDA=OFF); build the release preset or use --device cpu");
}

}  // namespace

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

at::Tensor add_block_rotated(const at::Tensor& /*residual*/, const at::Tensor& /*h*/, const at::Tensor& /*blocks*/) {
  refuse("add_block_rotated");
}

BlockRotationGradient block_rotation_backward(const at::Tensor& /*gradient*/, const at::Tensor& /*h*/,
                                              const at::Tensor& /*blocks*/, std::array<bool, 2> /*needs*/) {
  refuse("add_block_rotated");
}

}  // namespace kernels
}  // namespace nkat::layers
