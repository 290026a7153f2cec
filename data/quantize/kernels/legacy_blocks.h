// Q4_0, Q5_0 and Q5_1: blocks of 32 with one scale.
//
//   Q4_0  half d | 16 bytes                        x = d (q - 8)      q 0 ... 15
//   Q5_0  half d | 32 fifth bits | 16 bytes        x = d (q - 16)     q 0 ... 31
//   Q5_1  half d | half m | 32 fifth bits | 16 bytes   x = d q + m    q 0 ... 31
// Byte j holds the low four bits of element j (low half) and of element j + 16; bit j of the fifth bits is element j's.
// Source: quantize_row_q4_0_ref, _q5_0_ref, _q5_1_ref and the dequantizers of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/half_floats.h"

namespace nkat::gguf {
namespace {

constexpr int kLegacyBlock = 32;
constexpr int kQ40Bytes = 18;
constexpr int kQ50Bytes = 22;
constexpr int kQ51Bytes = 24;

inline void store_low_bits(const std::int32_t (&levels)[kLegacyBlock], std::uint8_t* out) {
  for (int j = 0; j < 16; j += kLanes) {
    const Ints low = load<Ints>(levels + j) & 15, high = load<Ints>(levels + 16 + j) & 15;
    store_bytes(out + j, low | high << 4);
  }
}

inline void store_fifth_bits(const std::int32_t (&levels)[kLegacyBlock], std::uint8_t* out) {
  Words bits = {}, position = {};
  for (int lane = 0; lane < kLanes; ++lane) position[lane] = static_cast<std::uint32_t>(lane);
  for (std::uint32_t j = 0; j < kLegacyBlock; j += kLanes) {
    bits |= ((load<Words>(levels + j) >> 4) & 1u) << (position + j);
  }
  const std::uint32_t word = all_bits_of(bits);
  __builtin_memcpy(out, &word, sizeof word);
}

struct Extremes {
  float low = 0.0f, high = 0.0f;
};
inline Extremes extremes_of(const float* x) {
  Floats low = load<Floats>(x), high = low;
  for (int i = kLanes; i < kLegacyBlock; i += kLanes) {
    low = smaller(load<Floats>(x + i), low);
    high = larger(load<Floats>(x + i), high);
  }
  return {-largest_of(-low), largest_of(high)};
}

// The element of largest magnitude, the first one on ties; +0 for a block of zeros.
inline float first_extreme(const float* x) {
  const Extremes ends = extremes_of(x);
  if (ends.high != -ends.low) return ends.high > -ends.low ? ends.high : ends.low;
  for (int i = 0; i < kLegacyBlock; ++i) {
    if (x[i] != 0.0f && magnitude(x[i]) == ends.high) return x[i];
  }
  return 0.0f;
}

// The smallest element; of zeros, whose sign is stored, the first.
inline float first_smallest(const float* x, float low) {
  if (low != 0.0f) return low;
  for (int i = 0; i < kLegacyBlock; ++i) {
    if (x[i] == 0.0f) return x[i];
  }
  return low;
}

// q = min(2 half - 1, truncate((x - origin) / d + shift)); all 0 where 1/d overflows, as in ggml.
struct Rounding {
  float origin = 0.0f, inverse = 0.0f, shift = 0.0f;
  int top = 15;
};
inline void choose_levels(const float* x, Rounding by, std::int32_t (&levels)[kLegacyBlock]) {
  if (!is_finite(by.inverse)) by.inverse = by.shift = 0.0f;
  for (int i = 0; i < kLegacyBlock; i += kLanes) {
    const Ints level = truncate((load<Floats>(x + i) - by.origin) * by.inverse + by.shift);
    store(levels + i, smaller(level, Ints{} + by.top));
  }
}

inline float inverse_or_zero(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

inline bool encode_q4_0_block(const float* x, std::uint8_t* out) {
  std::int32_t levels[kLegacyBlock];
  const float d = first_extreme(x) / -8.0f;
  choose_levels(x, {0.0f, inverse_or_zero(d), 8.5f, 15}, levels);
  store_low_bits(levels, out + 2);
  return store_half(out, d);
}

inline bool encode_q5_0_block(const float* x, std::uint8_t* out) {
  std::int32_t levels[kLegacyBlock];
  const float d = first_extreme(x) / -16.0f;
  choose_levels(x, {0.0f, inverse_or_zero(d), 16.5f, 31}, levels);
  store_fifth_bits(levels, out + 2);
  store_low_bits(levels, out + 6);
  return store_half(out, d);
}

inline bool encode_q5_1_block(const float* x, std::uint8_t* out) {
  std::int32_t levels[kLegacyBlock];
  const Extremes ends = extremes_of(x);
  const float low = first_smallest(x, ends.low);
  const float d = ends.high > low ? (ends.high - low) / 31.0f : 0.0f;
  choose_levels(x, {low, inverse_or_zero(d), 0.5f, 31}, levels);
  store_fifth_bits(levels, out + 4);
  store_low_bits(levels, out + 8);
  const bool scale_stored = store_half(out, d);
  return store_half(out + 2, low) && scale_stored;
}

template <auto kEncodeBlock, int kBytes>
inline bool encode_each_block(const float* row, std::int64_t length, std::uint8_t* out) {
  bool stored = all_finite(row, length);
  for (std::int64_t i = 0; stored && i < length; i += kLegacyBlock, out += kBytes) stored = kEncodeBlock(row + i, out);
  return stored;
}

// Calls write(j, level of element j, level of element j + 16) for j < 16.
template <typename Write>
inline void for_each_level(const std::uint8_t* low_bits, std::uint32_t fifth_bits, Write write) {
  for (int j = 0; j < 16; ++j) {
    const std::uint32_t first = (fifth_bits >> j) & 1u, second = (fifth_bits >> (j + 16)) & 1u;
    write(j, static_cast<std::int32_t>((low_bits[j] & 15u) | first << 4),
          static_cast<std::int32_t>((low_bits[j] >> 4) | second << 4));
  }
}

inline std::uint32_t load_word(const std::uint8_t* from) {
  std::uint32_t word = 0;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

inline void decode_q4_0(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kLegacyBlock, blocks += kQ40Bytes, out += kLegacyBlock) {
    const float d = load_half(blocks);
    for_each_level(blocks + 2, 0, [&](int j, std::int32_t first, std::int32_t second) {
      out[j] = static_cast<float>(first - 8) * d;
      out[j + 16] = static_cast<float>(second - 8) * d;
    });
  }
}

inline void decode_q5_0(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kLegacyBlock, blocks += kQ50Bytes, out += kLegacyBlock) {
    const float d = load_half(blocks);
    for_each_level(blocks + 6, load_word(blocks + 2), [&](int j, std::int32_t first, std::int32_t second) {
      out[j] = static_cast<float>(first - 16) * d;
      out[j + 16] = static_cast<float>(second - 16) * d;
    });
  }
}

inline void decode_q5_1(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kLegacyBlock, blocks += kQ51Bytes, out += kLegacyBlock) {
    const float d = load_half(blocks), m = load_half(blocks + 2);
    for_each_level(blocks + 8, load_word(blocks + 4), [&](int j, std::int32_t first, std::int32_t second) {
      out[j] = static_cast<float>(first) * d + m;
      out[j + 16] = static_cast<float>(second) * d + m;
    });
  }
}

}  // namespace
}  // namespace nkat::gguf
