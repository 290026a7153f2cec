// Per-token int8 quantization and the dequantization of int32 sums: the two ends of an int8 product.
//
//   scale = max |x| of the row / 127,  q1 = round(x / scale) in [-127, 127]
//   a second pass quantizes the residual: q2 = round(254 (x / scale - q1)), so that x = scale (q1 + q2 / 254)
//
// Error of one entry: at most scale / 2 with one pass, scale / 508 with two, and a float32 rounding or two. A row's
// result depends on that row alone. A row of zeros, or with no entry above 4e-37, has scale 0 and zeros. A row with a
// NaN or infinity has zeros and a scale that is not finite, which makes every product of the row NaN.
// float32 or bfloat16 in and out; computed in float32, on a CPU by one loop (cpu/int8_rows.cpp), elsewhere by ATen
// operations. Never run on a GPU.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct Int8Rows {
  at::Tensor values;  // (P, K) int8: T rows of the first pass, T of the second if there are two, rows of zeros
  at::Tensor scales;  // (T) float32
  std::int64_t passes = 1;
};

// x (T, K), multiplied by channel_scales (K) float32 first. passes: 1 or 2. P is at least `least_rows`, and a multiple
// of 8 if that is above 1.
Int8Rows quantize_rows(const at::Tensor& x, const at::Tensor& channel_scales, std::int64_t passes,
                       std::int64_t least_rows = 1);

// out (T, C) = scales (sums of pass 1 + sums of pass 2 / 254) channel_scales. sums (P, C) int32 of the rows' values,
// channel_scales (C) float32, out float32 or bfloat16, rounded once.
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);

// On a CPU, for checked arguments; x and sums contiguous, rows of `out` any distance apart.
namespace cpu {
void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows);
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);
}  // namespace cpu

// By ATen operations on any device: the reference of the loops.
namespace plain {
void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows);
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);
}  // namespace plain

}  // namespace nkat::layers
