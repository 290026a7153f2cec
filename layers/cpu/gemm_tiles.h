// Tile sizes of products with a frozen matrix and of attention on a CPU, for the loops and for the memory plan that
// counts their temporary memory (models/planning/memory_plan.h). No LibTorch.
#pragma once

#include <cstdint>

namespace nkat::layers {

// Rows of a matrix unit's tile. Fewer rows waste the rest of it, so a GPU gets multiples of this.
constexpr std::int64_t kRowsOfAGpuTile = 64;

// cpu/attention.cpp: queries per block.
constexpr std::int64_t kAttentionQueries = 128;

// cpu/bf16_gemm.cpp: depth and approximate columns of a widened panel.
constexpr std::int64_t kWidenedDepth = 1024, kWidenedColumns = 512;

// Near kWidenedColumns, a multiple of 16, and such that the panels divide evenly among four threads.
constexpr std::int64_t widened_panel_width(std::int64_t columns) {
  constexpr std::int64_t kShares = 4, kGrain = 16, kRound = kWidenedColumns * kShares;
  const std::int64_t panels = (columns + kRound - 1) / kRound * kShares;
  const std::int64_t width = (columns + panels - 1) / panels;
  return (width + kGrain - 1) / kGrain * kGrain;
}

// quantized/int8.cpp: columns of the result whose int32 sums exist at once; cache-sized on a CPU, few launches on a
// GPU.
constexpr std::int64_t kInt8TileOnCpu = 1024, kInt8TileOnGpu = 4096;
// quantized/int8_gemm.cpp, in float32: depth of one exact product, 1024 x 128 x 128 = 2^24.
constexpr std::int64_t kInt8FloatDepth = 1024;
// quantized/int8_rows.cpp, off the CPU: entries whose float32 intermediates exist at once.
constexpr std::int64_t kInt8EntriesAtOnce = 1 << 22;

// quantized/nf4_matrix.h: entries that share a scale.
constexpr std::int64_t kNf4Block = 32;
// quantized/nf4.cpp: entries of W dequantized at once.
constexpr std::int64_t kNf4TileOnCpu = 1 << 22, kNf4TileOnGpu = 1 << 26;
// quantized/nf4_matrix.cpp, off the CPU: entries whose table look-ups exist at once.
constexpr std::int64_t kNf4LookUpsAtOnce = 1 << 22;

}  // namespace nkat::layers
