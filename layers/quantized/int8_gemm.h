// Sums of products of 8-bit integers, exact in int32.
//
// A CPU takes oneDNN's product where that is exact, else float32: products of 8-bit integers and sums of 1,024 of them
// stay within 2^24, where float32 holds every integer. oneDNN is exact with the VNNI or AMX instructions; without them
// it adds pairs of products in 16 bits, which saturate. Which one it is, one small product that would saturate tells
// when the program first asks. Elsewhere: cuBLASLt, exact; it has never run here.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// Of this CPU, with the settings that oneDNN runs under.
bool int8_gemm_saturates();

// left (P, K) int8, right (K, C) int8 -> (P, C) int32. |sums| must stay below 2^31: K at most 131,072.
// right: column-major (right.t() is contiguous), the one layout that cuBLASLt has tensor-core kernels for on sm_86.
// ShapeError of another layout on every device, so that a CPU shows the mistake.
at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right);

namespace plain {
// The same in float32 products, on any device.
at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right);
}  // namespace plain

}  // namespace nkat::layers
