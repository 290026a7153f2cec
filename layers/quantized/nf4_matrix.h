// A frozen matrix in four bits (NF4): how it is held, and its entries as numbers (layers/MATHEMATICS.md 11).
//
// NF4 (Dettmers et al., QLoRA, 2023; the 16 levels and the order of a byte's halves are bitsandbytes'): columns are
// divided by their channel scales (channel_scales.h), a block of 32 neighbors in a row by its largest magnitude, and
// each entry becomes the nearest of 16 levels between -1 and 1, quantiles of a normal distribution. A row's last block
// may be shorter; a block of zeros has scale 0. Error of an entry, in units of its channel scale: at most 0.153 of its
// block's largest (half the widest gap, and the scale's rounding).
// 4.5 bits per weight: bfloat16 scales of 32 cost what float32 scales of 64 would, for less error.
//
// On a CPU the loops of cpu/nf4.h where float32 is asked for, else ATen operations; never run on a GPU. Bits depend on
// no number of threads.
// Shapes: N output channels, K input channels.
// Errors: ShapeError of a wrong argument and of an odd number of columns.
#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "layers/cpu/gemm_tiles.h"

namespace nkat::layers {

// Ascending; an entry's code is its index.
constexpr std::array<float, 16> kNf4Levels = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

struct Nf4Matrix {
  at::Tensor codes;           // (N, K / 2) uint8: the even column in the upper half of a byte
  at::Tensor scales;          // (N, ceil(K / 32)) bfloat16
  at::Tensor channel_scales;  // (K) float32
  std::int64_t columns() const { return 2 * codes.size(1); }
};

// Channel scales are ones; set others (channel_scales.h) before the rows.
Nf4Matrix empty_nf4_matrix(std::int64_t rows, std::int64_t columns, at::Device device);
// Quantizes rows (n, K), of any floating type and on the matrix's device, into rows first_row .. of the matrix.
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);

// Rows [row, row + count) of columns [column, column + width); column and width are multiples of a block, or the tile
// ends where the row does.
struct Nf4Tile {
  std::int64_t row = 0, count = 0, column = 0, width = 0;
};
// The tile's entries as numbers -> (count, width)
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type);

// By ATen operations on any device: the reference of the loops.
namespace plain {
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type);
}  // namespace plain

}  // namespace nkat::layers
