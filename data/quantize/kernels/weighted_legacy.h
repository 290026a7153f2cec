// Q4_0, Q5_0 and Q5_1 with an importance a column, and the choice between both ways.
// A block's weights are importance sqrt(s + x^2), s the mean square of the whole row; the scale is searched (Q4_0 and
// Q5_0 symmetric, Q5_1 with a minimum) and the levels are the search's own, from the scale before it is rounded to a
// half. Source: quantize_row_q4_0_impl, _q5_0_impl and _q5_1_impl of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/affine_fit.h"
#include "data/quantize/kernels/legacy_blocks.h"
#include "data/quantize/kernels/symmetric_fit.h"

namespace nkat::gguf {
namespace {

// kLanes blocks of a row, of which the first `count` are there.
struct WeightedBlocks {
  const float* x;
  int count = 0;
  float weights[kLegacyBlock * kLanes];
};

// Calls encode(blocks, out) for each group of the row; stops where it returns false.
template <typename Encode>
inline bool for_each_group(const float* row, std::int64_t length, const float* importance, Encode encode) {
  if (!all_finite(row, length)) return false;
  const float mean_square = sum_of_squares(row, length) / static_cast<float>(length);
  constexpr std::int64_t kGroup = kLegacyBlock * kLanes;
  for (std::int64_t begin = 0; begin < length; begin += kGroup) {
    const std::int64_t values = length - begin < kGroup ? length - begin : kGroup;
    WeightedBlocks blocks = {row + begin, static_cast<int>(values / kLegacyBlock), {}};
    weigh(row + begin, importance + begin, mean_square, static_cast<int>(values), blocks.weights);
    if (!encode(blocks, begin / kLegacyBlock)) return false;
  }
  return true;
}

// kHalf 8: Q4_0, 16: Q5_0.
template <int kHalf>
inline bool encode_weighted_symmetric(const float* row, std::int64_t length, const float* importance,
                                      std::uint8_t* out) {
  constexpr int kBytes = kHalf == 8 ? kQ40Bytes : kQ50Bytes;
  return for_each_group(row, length, importance, [&](const WeightedBlocks& group, std::int64_t first) {
    SymmetricBlocks<kLegacyBlock> blocks;
    load_columns(group.x, group.count, blocks.x);
    load_columns(group.weights, group.count, blocks.weights);
    const SymmetricFit fit = fit_symmetric(blocks, static_cast<float>(kHalf));
    bool stored = true;
    for (int lane = 0; lane < group.count; ++lane) {
      std::uint8_t* block = out + (first + lane) * kBytes;
      std::int32_t levels[kLegacyBlock];
      for (int i = 0; i < kLegacyBlock; i += kLanes) {
        const Floats x = load<Floats>(group.x + lane * kLegacyBlock + i);
        store(levels + i, symmetric_levels(x, fit.inverse_step[lane], kHalf));
      }
      stored = store_half(block, fit.scale[lane]) && stored;
      if constexpr (kHalf == 16) store_fifth_bits(levels, block + 2);
      store_low_bits(levels, block + kBytes - 16);
    }
    return stored;
  });
}

inline bool encode_weighted_q5_1(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  constexpr AffineSearch kSearch = {31.0f, -0.9f, 0.05f, 36};
  return for_each_group(row, length, importance, [&](const WeightedBlocks& group, std::int64_t first) {
    AffineBlocks<kLegacyBlock> blocks;
    load_columns(group.x, group.count, blocks.x);
    load_columns(group.weights, group.count, blocks.weights);
    const AffineFit fit = fit_affine<CutOff::kFloat>(blocks, kSearch);
    bool stored = true;
    for (int lane = 0; lane < group.count; ++lane) {
      std::uint8_t* block = out + (first + lane) * kQ51Bytes;
      std::int32_t levels[kLegacyBlock];
      for (int i = 0; i < kLegacyBlock; i += kLanes) {
        const Floats x = load<Floats>(group.x + lane * kLegacyBlock + i);
        store(levels + i, fitted_levels<CutOff::kFloat>(x, fit.levels.low[lane], fit.levels.inverse_step[lane], 31.0f));
      }
      stored = store_half(block, fit.scale[lane]) && stored;
      stored = store_half(block + 2, -fit.minimum[lane]) && stored;
      store_fifth_bits(levels, block + 4);
      store_low_bits(levels, block + 8);
    }
    return stored;
  });
}

inline bool encode_q4_0(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  if (importance == nullptr) return encode_each_block<encode_q4_0_block, kQ40Bytes>(row, length, out);
  return encode_weighted_symmetric<8>(row, length, importance, out);
}

inline bool encode_q5_0(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  if (importance == nullptr) return encode_each_block<encode_q5_0_block, kQ50Bytes>(row, length, out);
  return encode_weighted_symmetric<16>(row, length, importance, out);
}

inline bool encode_q5_1(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  if (importance == nullptr) return encode_each_block<encode_q5_1_block, kQ51Bytes>(row, length, out);
  return encode_weighted_q5_1(row, length, importance, out);
}

}  // namespace
}  // namespace nkat::gguf
