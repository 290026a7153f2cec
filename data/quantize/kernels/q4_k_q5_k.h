// Q4_K and Q5_K: super-blocks of 256 as eight sub-blocks of 32, x = d s_j q - dmin m_j.
//
//   Q4_K (144)  half d | half dmin | 12 bytes of s and m (super_scales.h) | 128 bytes
//   Q5_K (176)  half d | half dmin | 12 bytes of s and m | 32 bytes of fifth bits | 128 bytes
// Byte l of 32-byte group g holds the low four bits of element l of sub-blocks 2g (low half) and 2g + 1; bit j of fifth
// byte l is element l's of sub-block j.
//
// Encoder: an affine fit a sub-block (affine_fit.h), its scales and minima in six bits, then the levels again for what
// the file will say, rne((x + dmin m_j) / (d s_j)); where d s_j is zero the fit's levels stay. Weights are sqrt(mean
// x^2) + |x|, or importance sqrt(2 mean x^2 of the super-block + x^2). Source: quantize_row_q4_K_ref, _q4_K_impl,
// _q5_K_ref, _q5_K_impl and the dequantizers of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/affine_fit.h"
#include "data/quantize/kernels/super_scales.h"

namespace nkat::gguf {
namespace {

constexpr int kSuperBlock = 256;
constexpr int kSubBlock = 32;

// What sets the two types apart. Offsets in bytes.
template <int kBits>
struct AffineSuperBlock {
  static constexpr int kTop = (1 << kBits) - 1;
  static constexpr int kFifthBits = 16;
  static constexpr int kLowBits = kBits == 5 ? 48 : 16;
  static constexpr int kBytes = kLowBits + 128;
  static constexpr AffineSearch kSearch =
      kBits == 5 ? AffineSearch{31.0f, -0.5f, 0.1f, 15} : AffineSearch{15.0f, -1.0f, 0.1f, 20};
  static constexpr AffineSearch kWeightedSearch = {kTop, -0.9f, 0.05f, 36};
};

template <bool kWeighted>
constexpr CutOff kCutOff = kWeighted ? CutOff::kFloat : CutOff::kRoundedBits;

struct SubBlockFits {
  float scale[kSubBlocks];
  float minimum[kSubBlocks];
  float low[kSubBlocks];
  float inverse_step[kSubBlocks];
  float sum_w[kSubBlocks];
};

inline void keep(const AffineFit& fit, Floats sum_w, int first, SubBlockFits& fits) {
  store(fits.scale + first, fit.scale);
  store(fits.minimum + first, fit.minimum);
  store(fits.low + first, fit.levels.low);
  store(fits.inverse_step + first, fit.levels.inverse_step);
  store(fits.sum_w + first, sum_w);
}

// importance: 256 values where kWeighted, else unused
template <int kBits, bool kWeighted>
inline void fit_sub_blocks(const float* x, const float* importance, SubBlockFits& fits) {
  using Layout = AffineSuperBlock<kBits>;
  constexpr AffineSearch kSearch = kWeighted ? Layout::kWeightedSearch : Layout::kSearch;
  float weights[kSuperBlock];
  if constexpr (kWeighted) {
    const float twice_mean = 2.0f * sum_of_squares(x, kSuperBlock) / kSuperBlock;
    weigh(x, importance, twice_mean, kSuperBlock, weights);
  }
  for (int first = 0; first < kSubBlocks; first += kLanes) {
    AffineBlocks<kSubBlock> blocks;
    load_columns(x + first * kSubBlock, kLanes, blocks.x);
    if constexpr (kWeighted) {
      load_columns(weights + first * kSubBlock, kLanes, blocks.weights);
    } else {
      Floats squares = {};
      for (const Floats& value : blocks.x) squares += value * value;
      const Floats root = square_roots(squares / static_cast<float>(kSubBlock));
      for (int i = 0; i < kSubBlock; ++i) blocks.weights[i] = root + magnitude(blocks.x[i]);
    }
    const AffineFit fit = fit_affine<kCutOff<kWeighted>>(blocks, kSearch);
    keep(fit, blocks.sum_w, first, fits);
  }
}

inline bool all_finite(const SubBlockFits& fits) { return all_finite(fits.scale) && all_finite(fits.minimum); }

// levels: 256, for the scales that `out` already holds.
template <int kBits, bool kWeighted>
inline void choose_levels(const float* x, const SubBlockFits& fits, const std::uint8_t* out,
                          std::int32_t (&levels)[kSuperBlock]) {
  constexpr int kTop = AffineSuperBlock<kBits>::kTop;
  const float d = load_half(out), dmin = load_half(out + 2);
  for (int j = 0; j < kSubBlocks; ++j) {
    const ScaleAndMinimum stored = unpack_scales(out + 4, j);
    const float scale = d * static_cast<float>(stored.scale), minimum = dmin * static_cast<float>(stored.minimum);
    for (int i = j * kSubBlock; i < (j + 1) * kSubBlock; i += kLanes) {
      const Floats value = load<Floats>(x + i);
      store(levels + i, scale == 0.0f
                            ? fitted_levels<kCutOff<kWeighted>>(value, fits.low[j], fits.inverse_step[j], kTop)
                            : clamp(nearest((value + minimum) / scale), 0, kTop));
    }
  }
}

template <int kBits>
inline void store_levels(const std::int32_t (&levels)[kSuperBlock], std::uint8_t* out) {
  using Layout = AffineSuperBlock<kBits>;
  for (int l = 0; l < kSubBlock; l += kLanes) {
    Ints fifth = {};
    for (int group = 0; group < 4; ++group) {
      const Ints first = load<Ints>(levels + 64 * group + l), second = load<Ints>(levels + 64 * group + 32 + l);
      store_bytes(out + Layout::kLowBits + 32 * group + l, (first & 15) | ((second & 15) << 4));
      fifth |= ((first >> 4) << (2 * group)) | ((second >> 4) << (2 * group + 1));
    }
    if constexpr (kBits == 5) store_bytes(out + Layout::kFifthBits + l, fifth);
  }
}

// importance: 256 values where kWeighted, else unused
template <int kBits, bool kWeighted>
inline bool encode_affine_super_block(const float* x, const float* importance, std::uint8_t* out) {
  SubBlockFits fits;
  fit_sub_blocks<kBits, kWeighted>(x, importance, fits);
  SixBitScales scales, minima;
  if constexpr (kWeighted) {
    scales = scales_by_search(fits.scale, fits.sum_w);
    minima = scales_by_search(fits.minimum, fits.sum_w);
  } else {
    scales = scales_by_largest(fits.scale);
    minima = scales_by_largest(fits.minimum);
  }
  if (!store_half(out, scales.unit) || !store_half(out + 2, minima.unit) || !all_finite(fits)) return false;
  if constexpr (kBits == 5) {
    for (std::uint8_t& level : scales.levels) level = level < 63 ? level : 63;
    for (std::uint8_t& level : minima.levels) level = level < 63 ? level : 63;
  }
  pack_scales(scales.levels, minima.levels, out + 4);
  std::int32_t levels[kSuperBlock];
  choose_levels<kBits, kWeighted>(x, fits, out, levels);
  store_levels<kBits>(levels, out);
  return true;
}

template <int kBits>
inline bool encode_affine(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  if (!all_finite(row, length)) return false;
  for (std::int64_t i = 0; i < length; i += kSuperBlock, out += AffineSuperBlock<kBits>::kBytes) {
    const bool stored = importance == nullptr ? encode_affine_super_block<kBits, false>(row + i, nullptr, out)
                                              : encode_affine_super_block<kBits, true>(row + i, importance + i, out);
    if (!stored) return false;
  }
  return true;
}

template <int kBits>
inline void decode_affine(const std::uint8_t* blocks, std::int64_t count, float* out) {
  using Layout = AffineSuperBlock<kBits>;
  for (std::int64_t i = 0; i < count; i += kSuperBlock, blocks += Layout::kBytes) {
    const float d = load_half(blocks), dmin = load_half(blocks + 2);
    for (int j = 0; j < kSubBlocks; ++j, out += kSubBlock) {
      const ScaleAndMinimum stored = unpack_scales(blocks + 4, j);
      const float scale = d * static_cast<float>(stored.scale), minimum = dmin * static_cast<float>(stored.minimum);
      const std::uint8_t* low = blocks + Layout::kLowBits + 32 * (j / 2);
      for (int l = 0; l < kSubBlock; ++l) {
        int level = j % 2 == 0 ? low[l] & 15 : low[l] >> 4;
        if constexpr (kBits == 5) level |= ((blocks[Layout::kFifthBits + l] >> j) & 1) << 4;
        out[l] = scale * static_cast<float>(level) - minimum;
      }
    }
  }
}

}  // namespace
}  // namespace nkat::gguf
