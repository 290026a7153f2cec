// The product of two int8 matrices with int32 sums, exact on every device.
// Never run on a GPU. Errors: ShapeError of sides that don't meet and of a right side that isn't column-major.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// left (P, K) int8, right (K, C) int8 -> (P, C) int32, exact while |sums| < 2^31: K at most 131,072.
// right is column-major (right.t() is contiguous), the layout that cuBLASLt has tensor-core kernels for on sm_86;
// another is a ShapeError on every device, so that a CPU test shows the mistake.
// A CPU uses oneDNN where that is exact and has a kernel, else float32: sums of 1,024 products stay within 2^24, where
// float32 holds every integer. A GPU uses cuBLASLt.
at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right);

// Whether oneDNN's product saturates on this CPU: without VNNI or AMX it adds pairs of products in 16 bits. Found by
// one small product on the first call, so that oneDNN's own settings count.
bool int8_gemm_saturates();

// Whether this CPU takes the product in float32: where oneDNN saturates, and without AVX512-VNNI, where LibTorch may
// fall back on a loop over single numbers: on an AMD EPYC with AVX2 a training step took 13 times as long.
bool int8_gemm_in_float();

namespace plain {
// int8_gemm in float32, for any layout and device.
at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right);
}  // namespace plain

}  // namespace nkat::layers
