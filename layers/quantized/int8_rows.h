// Rows of numbers as 8-bit integers with one scale a row, and integer sums scaled back: the two ends of an int8
// product.
//
//   scale = max |x| of the row / 127,  q1 = round(x / scale) in [-127, 127]
//   a second term takes what the first leaves: q2 = round(254 (x / scale - q1)), so that x = scale (q1 + q2 / 254)
//
// Error of one entry: at most scale / 2 with one term, scale / 508 with two, and a float32 rounding or two. A row's
// result depends on that row alone. A row of zeros has scale 0; one with an entry that is not finite has zeros as
// values and a scale that is not finite, which makes every product of the row NaN. Rows whose largest entry is below
// 4e-37 are taken for zeros. float32 and bfloat16; computed in float32 by one loop on the CPU, which the tests hold to
// plain ATen operations, and by those operations elsewhere (on a GPU they have never run).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct Int8Rows {
  at::Tensor values;  // (P, K) int8: T rows of the first term, T of the second if there are two, rows of zeros
  at::Tensor scales;  // (T) float32
  std::int64_t terms = 1;
};

// x (T, K); channel_scales (K) float32 multiplies the columns first, undefined: nothing. terms: 1 or 2. The rows are
// filled up to `least_rows`, and to a multiple of eight where that is more than one.
Int8Rows quantize_rows(const at::Tensor& x, const at::Tensor& channel_scales, std::int64_t terms,
                       std::int64_t least_rows = 1);

// out (T, C) = scale of the row (sums of term 1 + sums of term 2 / 254) channel_scales. sums (P, C) int32 of the rows'
// values; channel_scales (C) float32 or undefined; out float32 or bfloat16, rounded once.
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);

// The same two by ATen operations, on any device: what the loops are tested against.
namespace plain {
void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows);
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);
}  // namespace plain

}  // namespace nkat::layers
