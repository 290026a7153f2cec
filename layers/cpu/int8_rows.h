// The loops of int8_rows.h on the CPU: one pass to find a row's scale, one to round it. Arguments as checked there;
// x and sums contiguous, rows of `out` any distance apart.
#pragma once

#include "layers/quantized/int8_rows.h"

namespace nkat::layers::cpu {

void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows);
void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out);

}  // namespace nkat::layers::cpu
