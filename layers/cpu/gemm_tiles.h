// How products with a frozen matrix, and attention on a CPU, are cut into pieces, for the loops themselves and for the
// plan that counts what they hold (models/planning/gemm_workspace.h). No LibTorch.
#pragma once

#include <cstdint>

namespace nkat::layers {

// Of a matrix unit's tile; a product with fewer rows left over wastes the rest of it, so a GPU gets rows in multiples.
constexpr std::int64_t kRowsOfAGpuTile = 64;

// attention.cpp: queries of a block.
constexpr std::int64_t kAttentionQueries = 128;

// bf16_gemm.cpp: terms of a sum at a time, and about how many columns of the result.
constexpr std::int64_t kWidenedDepth = 1024, kWidenedColumns = 512;

// Near kWidenedColumns, a multiple of 16, and such that the panels divide evenly among four threads.
constexpr std::int64_t widened_panel_width(std::int64_t columns) {
  constexpr std::int64_t kShares = 4, kGrain = 16, kRound = kWidenedColumns * kShares;
  const std::int64_t panels = (columns + kRound - 1) / kRound * kShares;
  const std::int64_t width = (columns + panels - 1) / panels;
  return (width + kGrain - 1) / kGrain * kGrain;
}

// layers/quantized/int8.cpp: columns of the result whose int32 sums exist at once: cache-sized on a CPU, few launches on a GPU.
constexpr std::int64_t kInt8TileOnCpu = 1024, kInt8TileOnGpu = 4096;
// layers/quantized/int8_gemm.cpp, in float32: terms of a sum at a time, so many that they are exact: 1024 x 128 x 128 = 2^24.
constexpr std::int64_t kInt8FloatDepth = 1024;
// int8_rows.cpp, off the CPU: entries whose float32 steps exist at once.
constexpr std::int64_t kInt8EntriesAtOnce = 1 << 22;

// layers/quantized/nf4.h: neighbors that share a scale.
constexpr std::int64_t kNf4Block = 32;
// layers/quantized/nf4.cpp: entries of W that are numbers at once; off the CPU, entries whose table look-ups exist at once.
constexpr std::int64_t kNf4TileOnCpu = 1 << 22, kNf4TileOnGpu = 1 << 26;
constexpr std::int64_t kNf4LookUpsAtOnce = 1 << 22;

}  // namespace nkat::layers
