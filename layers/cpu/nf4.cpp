#include "layers/cpu/nf4.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "layers/cpu/simd.h"

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

// A code is the number of midpoints below the entry. inverse: 1 / channel scale. Returns the block's largest magnitude,
// rounded to bfloat16.
NKAT_VECTORIZED at::BFloat16 encode_block(const float* x, const float* inverse, std::int64_t size,
                                          std::uint8_t* codes) {
  float scaled[kNf4Block], largest = 0;
  for (std::int64_t i = 0; i < size; ++i) scaled[i] = x[i] * inverse[i];
  for (std::int64_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(scaled[i]));
  at::BFloat16 scale;
  round_to(largest, scale);
  const float over = 1 / widen(scale);
  const float factor = std::isfinite(over) ? over : 0.0f;
  std::int32_t levels[kNf4Block] = {};
  for (const float midpoint : kMidpoints.between) {
    for (std::int64_t i = 0; i < size; ++i) levels[i] += scaled[i] * factor > midpoint ? 1 : 0;
  }
  for (std::int64_t i = 0; i < size; i += 2) codes[i / 2] = static_cast<std::uint8_t>(levels[i] * 16 + levels[i + 1]);
  return scale;
}

NKAT_VECTORIZED void decode_block(const std::uint8_t* codes, std::int64_t size, float scale, const float* columns,
                                  float* out) {
  for (std::int64_t i = 0; i < size; i += 2) {
    const float* const pair = kPairs.of[codes[i / 2]];
    out[i] = pair[0] * scale * columns[i];
    out[i + 1] = pair[1] * scale * columns[i + 1];
  }
}

}  // namespace

void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows) {
  const std::int64_t columns = rows.size(1), blocks = matrix.scales.size(1);
  const at::Tensor inverse = matrix.channel_scales.reciprocal();
  const auto* const x = rows.const_data_ptr<float>();
  const auto* const factors = inverse.const_data_ptr<float>();
  auto* const codes = matrix.codes.mutable_data_ptr<std::uint8_t>() + first_row * columns / 2;
  auto* const scales = matrix.scales.mutable_data_ptr<at::BFloat16>() + first_row * blocks;
  at::parallel_for(0, rows.size(0), kGrainRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t column = block * kNf4Block, at = row * columns + column;
        const std::int64_t size = std::min(kNf4Block, columns - column);
        scales[row * blocks + block] = encode_block(x + at, factors + column, size, codes + at / 2);
      }
    }
  });
}

at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile) {
  const std::int64_t columns = matrix.columns(), blocks = matrix.scales.size(1);
  at::Tensor out = at::empty({tile.count, tile.width}, matrix.channel_scales.options());
  const auto* const codes = matrix.codes.const_data_ptr<std::uint8_t>();
  const auto* const scales = matrix.scales.const_data_ptr<at::BFloat16>();
  const auto* const factors = matrix.channel_scales.const_data_ptr<float>();
  auto* const values = out.mutable_data_ptr<float>();
  at::parallel_for(0, tile.count, kGrainRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t source = tile.row + row;
      for (std::int64_t done = 0; done < tile.width; done += kNf4Block) {
        const std::int64_t column = tile.column + done;
        decode_block(codes + (source * columns + column) / 2, std::min(kNf4Block, tile.width - done),
                     widen(scales[source * blocks + column / kNf4Block]), factors + column,
                     values + row * tile.width + done);
      }
    }
  });
  return out;
}

}  // namespace nkat::layers::cpu
