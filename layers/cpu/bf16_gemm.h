// Products of BF16 rows with a frozen BF16 matrix W (out, in), for processors whose float32 units are faster: panels of
// W are widened to float32 in the cache and multiplied there, so that no float32 copy of W exists. BF16 values and
// their products are exact in float32, so this is a BF16 product with float32 accumulation, summed in another order.
// When to use: where prefer_fp32_gemm(). Measured on an Intel core with AVX512_BF16 and no AMX: vdpbf16ps takes twice
// the time of two FMAs, 150 GFLOP/s on two cores against 240 in float32. Without AVX512_BF16 LibTorch emulates.
// Temporary memory: 2 MiB of W and T x 512 float32 per thread, and a float32 copy of the rows.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers::cpu {

// True without AMX if AVX512_BF16 is missing or Intel's.
bool prefer_fp32_gemm();

enum class Bf16Gemm {
  kForward,   // rows Wᵀ: (T, in) -> (T, out)
  kBackward,  // rows W:  (T, out) -> (T, in)
};

// rows bfloat16 | float32, W (out, in) bfloat16, contiguous -> `result_type` (bfloat16 | float32), rounded once. The
// same bits on every run with the same shapes and number of threads.
at::Tensor bf16_gemm(const at::Tensor& rows, const at::Tensor& weight, Bf16Gemm which, at::ScalarType result_type);

}  // namespace nkat::layers::cpu
