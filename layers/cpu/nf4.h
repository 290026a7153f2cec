// The loops of layers/quantized/nf4.h on the CPU, and the same two by ATen operations, on any device: what the loops are tested
// against. Arguments as checked there.
#pragma once

#include "layers/quantized/nf4.h"

namespace nkat::layers {

namespace cpu {
// rows: float32, contiguous.
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile);  // float32
}  // namespace cpu

namespace plain {
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type);
}  // namespace plain

}  // namespace nkat::layers
