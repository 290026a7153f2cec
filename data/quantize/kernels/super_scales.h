// The scales and minima of Q4_K's and Q5_K's eight sub-blocks: six bits each under one half per super-block.
//
// Packing (12 bytes), sub-block j: for j < 4, byte j holds scale j and byte 4 + j minimum j; for j >= 4, byte 4 + j
// holds the low four bits of both, and the top two bits of byte j - 4 and byte j are the rest of scale and minimum.
// Source: quantize_row_q4_K_ref, make_qp_quants and get_scale_min_k4 of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/half_floats.h"

namespace nkat::gguf {
namespace {

constexpr int kSubBlocks = 8;

struct SixBitScales {
  float unit = 0.0f;                // value ~ unit * levels[j]
  std::uint8_t levels[kSubBlocks];  // of a value that rounding made negative, ggml keeps the low eight bits
};

inline std::uint8_t low_byte(std::int32_t x) { return static_cast<std::uint8_t>(static_cast<std::uint32_t>(x) & 0xFF); }

// The largest value gets level 63.
inline SixBitScales scales_by_largest(const float (&values)[kSubBlocks]) {
  SixBitScales scales;
  float largest = 0.0f;
  for (float value : values) largest = value > largest ? value : largest;
  const float inverse = largest > 0.0f ? 63.0f / largest : 0.0f;
  for (int j = 0; j < kSubBlocks; ++j) {
    const std::uint8_t level = low_byte(nearest(inverse * values[j]));
    scales.levels[j] = level < 63 ? level : 63;
  }
  scales.unit = largest / 63.0f;
  return scales;
}

// sum(w x l) and sum(w l^2): x ~ (xl / l2) l.
struct ScaleSums {
  float xl = 0.0f, l2 = 0.0f;
};

inline std::int32_t level_of(float x) {
  const std::int32_t level = nearest(x);
  return level < 63 ? level : 63;
}

// Of the inverse units (63 + t / 10) / largest, t = 0, -4 ... 4, the one with the smallest weighted squared error.
inline float search_inverse_unit(const float (&values)[kSubBlocks], const float (&weights)[kSubBlocks], float largest) {
  float best = 63.0f / largest, least = 0.0f;
  for (int j = 0; j < kSubBlocks; ++j) {
    const float difference = values[j] - 1.0f / best * static_cast<float>(low_byte(nearest(best * values[j])));
    least += weights[j] * difference * difference;
  }
  for (int t = -4; t <= 4; ++t) {
    if (t == 0) continue;
    const float inverse = (0.1f * static_cast<float>(t) + 63.0f) / largest, unit = 1.0f / inverse;
    float error = 0.0f;
    for (int j = 0; j < kSubBlocks; ++j) {
      const float difference = values[j] - unit * static_cast<float>(level_of(inverse * values[j]));
      error += weights[j] * difference * difference;
    }
    if (error < least) {
      least = error;
      best = inverse;
    }
  }
  return best;
}

// One round of moving each level to where it fits the others' unit; tells whether one moved.
inline bool improve_levels(const float (&values)[kSubBlocks], const float (&weights)[kSubBlocks], SixBitScales& scales,
                           ScaleSums& sums) {
  bool moved = false;
  for (int j = 0; j < kSubBlocks; ++j) {
    const float level = static_cast<float>(scales.levels[j]), weighted = weights[j] * values[j];
    ScaleSums others = {sums.xl - weighted * level, sums.l2 - weights[j] * level * level};
    if (!(others.xl > 0.0f && others.l2 > 0.0f)) continue;
    const std::int32_t trial = level_of(values[j] * others.l2 / others.xl);
    if (trial == scales.levels[j]) continue;
    others.xl += weighted * static_cast<float>(trial);
    others.l2 += weights[j] * static_cast<float>(trial) * static_cast<float>(trial);
    if (others.xl * others.xl * sums.l2 > sums.xl * sums.xl * others.l2) {
      scales.levels[j] = low_byte(trial);
      sums = others;
      moved = true;
    }
  }
  return moved;
}

// The unit is searched so that the weighted squared error is small.
inline SixBitScales scales_by_search(const float (&values)[kSubBlocks], const float (&weights)[kSubBlocks]) {
  constexpr float kTiny = 1e-15f;
  SixBitScales scales = {0.0f, {}};
  float largest = 0.0f;
  for (float value : values) largest = value > largest ? value : largest;
  if (largest < kTiny) return scales;
  const float inverse = search_inverse_unit(values, weights, largest);
  ScaleSums sums;
  for (int j = 0; j < kSubBlocks; ++j) {
    const std::int32_t level = level_of(inverse * values[j]);
    scales.levels[j] = low_byte(level);
    sums.xl += weights[j] * values[j] * static_cast<float>(level);
    sums.l2 += weights[j] * static_cast<float>(level) * static_cast<float>(level);
  }
  for (int round = 0; round < 5 && improve_levels(values, weights, scales, sums); ++round) {
  }
  scales.unit = sums.l2 > 0.0f ? sums.xl / sums.l2 : 0.0f;
  // Sums that overflow leave no unit, or a zero that would wipe the block out.
  if (!is_finite(sums.xl) || !is_finite(sums.l2)) scales.unit = __builtin_inff();
  return scales;
}

inline void pack_scales(const std::uint8_t (&scales)[kSubBlocks], const std::uint8_t (&minima)[kSubBlocks],
                        std::uint8_t* out) {
  for (int j = 0; j < 4; ++j) {
    out[j] = scales[j];
    out[j + 4] = minima[j];
  }
  for (int j = 4; j < kSubBlocks; ++j) {
    out[j + 4] = low_byte((scales[j] & 15) | (minima[j] & 15) << 4);
    out[j - 4] = low_byte(out[j - 4] | (scales[j] >> 4) << 6);
    out[j] = low_byte(out[j] | (minima[j] >> 4) << 6);
  }
}

struct ScaleAndMinimum {
  int scale = 0, minimum = 0;
};
inline ScaleAndMinimum unpack_scales(const std::uint8_t* packed, int j) {
  if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
  return {(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4};
}

}  // namespace
}  // namespace nkat::gguf
