// The loops of an NF4 matrix on the CPU, for checked arguments. layers/quantized/nf4_matrix.h is the interface.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "layers/quantized/nf4_matrix.h"

namespace nkat::layers::cpu {

// rows: float32, contiguous.
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile);  // float32

}  // namespace nkat::layers::cpu
