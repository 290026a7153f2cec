// y = x W^T with a frozen W in four bits (NF4), and its derivative: W is widened tile by tile, never as a whole model.
//
// NF4 (Dettmers et al., QLoRA, 2023; the 16 levels and the order of the two halves of a byte are bitsandbytes'):
// columns are divided by their scales (channel_scales.h), a block of 32 neighbors in a row by its largest magnitude,
// and each entry becomes the nearest of 16 levels between -1 and 1, quantiles of a normal distribution. Error of one
// entry: at most 0.153 (half the widest gap, and the scale's rounding) of its block's largest, in units of their
// columns' scales. A row's last block may be shorter. A block of zeros has scale 0. 4.5 bits a weight: the scales are
// bfloat16, which costs what float32 ones of blocks of 64 would, for less error.
//
// On the CPU tiles and products are float32; elsewhere tiles have x's type, so the products are BF16's (on a GPU this
// has never run). A tile is 16 MiB of float32 on a CPU and one matrix on a GPU. The products are the BLAS's: the
// same bits on every run with the same number of threads. Backward keeps W and nothing else.
// Units: rows N = output channels, columns K = input channels, T tokens. x float32 or bfloat16; y has its type.
// Errors: ShapeError, DeviceError of a wrong argument; ShapeError of an odd number of columns.
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

// Column scales are ones; others (channel_scales.h) are to be there before the rows are.
Nf4Matrix empty_nf4_matrix(std::int64_t rows, std::int64_t columns, at::Device device);
// rows (n, K) of any floating type, on the matrix's device, become the matrix's rows from first_row on.
void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows);

// Rows [row, row + count) of columns [column, column + width) as numbers; column and width are multiples of a block, or
// the tile ends where the row does. -> (count, width)
struct Nf4Tile {
  std::int64_t row = 0, count = 0, column = 0, width = 0;
};
at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type);

// x (T, K) -> (T, N); a derivative by x.
at::Tensor nf4_linear(const at::Tensor& x, const Nf4Matrix& matrix);
// dy (T, N) -> (T, K)
at::Tensor nf4_linear_backward(const at::Tensor& dy, const Nf4Matrix& matrix);

}  // namespace nkat::layers
