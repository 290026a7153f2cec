#include "layers/nf4_matrix_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "layers/vectorised.h"

namespace nkat::layers::cpu {
namespace {

constexpr std::int64_t kGrainRows = 8;

struct Midpoints {
  float between[15];
  constexpr Midpoints() : between() {
    for (std::size_t i = 0; i < 15; ++i) between[i] = (kNf4Levels[i] + kNf4Levels[i + 1]) / 2;
  }
};
constexpr Midpoints kMidpoints;

// The two levels of every byte.
struct Pairs {
  float of[256][2];
  constexpr Pairs() : of() {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      of[byte][0] = kNf4Levels[byte >> 4];
      of[byte][1] = kNf4Levels[byte & 15];
    }
  }
};
constexpr Pairs kPairs;

// A code is the number of midpoints below the entry. Returns the block's largest magnitude.
NKAT_VECTORISED float encode_block(const float* x, std::int64_t size, std::uint8_t* codes) {
  float largest = 0;
  for (std::int64_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float inverse = 1 / largest;
  const float factor = std::isfinite(inverse) ? inverse : 0.0f;
  std::int32_t levels[kNf4Block] = {};
  for (const float midpoint : kMidpoints.between) {
    for (std::int64_t i = 0; i < size; ++i) levels[i] += x[i] * factor > midpoint ? 1 : 0;
  }
  for (std::int64_t i = 0; i < size; i += 2) codes[i / 2] = static_cast<std::uint8_t>(levels[i] * 16 + levels[i + 1]);
  return largest;
}

NKAT_VECTORISED void decode_block(const std::uint8_t* codes, std::int64_t size, float scale, float* out) {
  for (std::int64_t i = 0; i < size; i += 2) {
    const float* const pair = kPairs.of[codes[i / 2]];
    out[i] = pair[0] * scale;
    out[i + 1] = pair[1] * scale;
  }
}

}  // namespace

void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows) {
  const std::int64_t columns = rows.size(1), blocks = matrix.scales.size(1);
  const auto* const x = rows.const_data_ptr<float>();
  auto* const codes = matrix.codes.mutable_data_ptr<std::uint8_t>() + first_row * columns / 2;
  auto* const scales = matrix.scales.mutable_data_ptr<float>() + first_row * blocks;
  at::parallel_for(0, rows.size(0), kGrainRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t at = row * columns + block * kNf4Block;
        const std::int64_t size = std::min(kNf4Block, columns - block * kNf4Block);
        scales[row * blocks + block] = encode_block(x + at, size, codes + at / 2);
      }
    }
  });
}

at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile) {
  const std::int64_t columns = matrix.columns(), blocks = matrix.scales.size(1);
  at::Tensor out = at::empty({tile.count, tile.width}, matrix.scales.options());
  const auto* const codes = matrix.codes.const_data_ptr<std::uint8_t>();
  const auto* const scales = matrix.scales.const_data_ptr<float>();
  auto* const values = out.mutable_data_ptr<float>();
  at::parallel_for(0, tile.count, kGrainRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t source = tile.row + row;
      for (std::int64_t done = 0; done < tile.width; done += kNf4Block) {
        const std::int64_t column = tile.column + done;
        decode_block(codes + (source * columns + column) / 2, std::min(kNf4Block, tile.width - done),
                     scales[source * blocks + column / kNf4Block], values + row * tile.width + done);
      }
    }
  });
  return out;
}

}  // namespace nkat::layers::cpu
