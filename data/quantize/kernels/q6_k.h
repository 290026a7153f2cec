// Q6_K: super-blocks of 256 as sixteen sub-blocks of 16, x = d s_j (q - 32), q 0 ... 63, s_j a signed byte.
//
//   128 bytes of low bits | 64 of high bits | 16 scales | half d
// In each half of 128 elements (64 low bytes, 32 high bytes), for l < 32: elements l and l + 64 share low byte l,
// elements l + 32 and l + 96 low byte l + 32 (the first in its low half), and bits 0-1, 2-3, 4-5, 6-7 of high byte l
// belong to elements l, l + 32, l + 64, l + 96.
//
// Encoder: a symmetric fit a sub-block with weights x^2, or the importance alone; d is such that the scale of largest
// magnitude becomes -128; then the levels again for the stored scales. Where d s_j is zero the fit's levels stay.
// Source: quantize_row_q6_K_ref, _q6_K_impl and dequantize_row_q6_K of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/half_floats.h"
#include "data/quantize/kernels/symmetric_fit.h"

namespace nkat::gguf {
namespace {

constexpr int kQ6KElements = 256;
constexpr int kQ6KBytes = 210;
constexpr int kQ6KSubBlocks = 16;
constexpr int kQ6KSubBlock = 16;
constexpr int kQ6KHighBits = 128;
constexpr int kQ6KScales = 192;
constexpr int kQ6KUnit = 208;

struct Q6Fits {
  float scale[kQ6KSubBlocks];
  float inverse_step[kQ6KSubBlocks];
};

// importance: 256 values, or null
inline void fit_sub_blocks(const float* x, const float* importance, Q6Fits& fits) {
  for (int first = 0; first < kQ6KSubBlocks; first += kLanes) {
    SymmetricBlocks<kQ6KSubBlock> blocks;
    load_columns(x + first * kQ6KSubBlock, kLanes, blocks.x);
    if (importance != nullptr) {
      load_columns(importance + first * kQ6KSubBlock, kLanes, blocks.weights);
    } else {
      for (int i = 0; i < kQ6KSubBlock; ++i) blocks.weights[i] = blocks.x[i] * blocks.x[i];
    }
    const SymmetricFit fit = fit_symmetric(blocks, 32.0f);
    store(fits.scale + first, fit.scale);
    store(fits.inverse_step + first, fit.inverse_step);
  }
}

inline float extreme_scale(const Q6Fits& fits) {
  float extreme = 0.0f;
  for (float scale : fits.scale) extreme = magnitude(scale) > magnitude(extreme) ? scale : extreme;
  return extreme;
}

inline void store_q6_scales(const Q6Fits& fits, float inverse_unit, std::uint8_t* out) {
  for (int j = 0; j < kQ6KSubBlocks; ++j) {
    const std::int32_t level = nearest(inverse_unit * fits.scale[j]);
    out[kQ6KScales + j] = static_cast<std::uint8_t>((level < 127 ? level : 127) & 0xFF);
  }
}

// levels: 256, for the scales that `out` already holds.
inline void choose_q6_levels(const float* x, const Q6Fits& fits, const std::uint8_t* out,
                             std::int32_t (&levels)[kQ6KElements]) {
  const float unit = load_half(out + kQ6KUnit);
  for (int j = 0; j < kQ6KSubBlocks; ++j) {
    const float scale = unit * static_cast<float>(static_cast<std::int8_t>(out[kQ6KScales + j]));
    for (int i = j * kQ6KSubBlock; i < (j + 1) * kQ6KSubBlock; i += kLanes) {
      const Floats value = load<Floats>(x + i);
      store(levels + i, scale == 0.0f ? symmetric_levels(value, fits.inverse_step[j], 32)
                                      : clamp(nearest(value / scale), -32, 31) + 32);
    }
  }
}

inline void store_q6_levels(const std::int32_t (&levels)[kQ6KElements], std::uint8_t* out) {
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; l += kLanes) {
      Ints quarter[4], high = {};
      for (int part = 0; part < 4; ++part) {
        quarter[part] = load<Ints>(levels + 128 * half + 32 * part + l);
        high |= (quarter[part] >> 4) << (2 * part);
      }
      store_bytes(out + 64 * half + l, (quarter[0] & 15) | ((quarter[2] & 15) << 4));
      store_bytes(out + 64 * half + 32 + l, (quarter[1] & 15) | ((quarter[3] & 15) << 4));
      store_bytes(out + kQ6KHighBits + 32 * half + l, high);
    }
  }
}

// importance: 256 values, or null
inline bool encode_q6_k_super_block(const float* x, const float* importance, std::uint8_t* out) {
  Q6Fits fits;
  fit_sub_blocks(x, importance, fits);
  if (!all_finite(fits.scale)) return false;
  const float extreme = extreme_scale(fits);
  if (magnitude(extreme) < kTinyBlock) {
    __builtin_memset(out, 0, kQ6KBytes);
    return true;
  }
  const float inverse_unit = -128.0f / extreme;
  if (!store_half(out + kQ6KUnit, 1.0f / inverse_unit)) return false;
  store_q6_scales(fits, inverse_unit, out);
  std::int32_t levels[kQ6KElements];
  choose_q6_levels(x, fits, out, levels);
  store_q6_levels(levels, out);
  return true;
}

inline bool encode_q6_k(const float* row, std::int64_t length, const float* importance, std::uint8_t* out) {
  if (!all_finite(row, length)) return false;
  for (std::int64_t i = 0; i < length; i += kQ6KElements, out += kQ6KBytes) {
    const float* columns = importance != nullptr ? importance + i : nullptr;
    if (!encode_q6_k_super_block(row + i, columns, out)) return false;
  }
  return true;
}

inline void decode_q6_k(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kQ6KElements, blocks += kQ6KBytes, out += kQ6KElements) {
    const float unit = load_half(blocks + kQ6KUnit);
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* low = blocks + 64 * half;
      const std::uint8_t* high = blocks + kQ6KHighBits + 32 * half;
      for (int part = 0; part < 4; ++part) {
        for (int l = 0; l < 32; ++l) {
          const int j = 8 * half + 2 * part + l / 16;
          const float scale = unit * static_cast<float>(static_cast<std::int8_t>(blocks[kQ6KScales + j]));
          const int four = part < 2 ? low[l + 32 * part] & 15 : low[l + 32 * (part - 2)] >> 4;
          const int level = four | ((high[l] >> (2 * part)) & 3) << 4;
          out[128 * half + 32 * part + l] = scale * static_cast<float>(level - 32);
        }
      }
    }
  }
}

}  // namespace
}  // namespace nkat::gguf
