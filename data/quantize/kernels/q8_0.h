// Q8_0: blocks of 32 as a half d and 32 signed bytes q, x = d q.
// d = max |x| / 127, q = x (1 / d) rounded half away from zero; d is rounded to a half only when it is stored.
// Source: quantize_row_q8_0_ref and dequantize_row_q8_0 of ggml-quants.c.
#pragma once

#include "data/quantize/kernels/half_floats.h"

namespace nkat::gguf {
namespace {

constexpr int kQ80Bytes = 34;

// |x| < 2^22
inline Ints round_half_away(Floats x) {
  const Ints whole = truncate(x);
  const Floats rest = x - to_floats(whole);
  return whole - (rest >= 0.5f) + (rest <= -0.5f);  // a true comparison is -1
}

inline bool encode_q8_0_block(const float* x, std::uint8_t* out) {
  Ints most = {};
  for (int i = 0; i < 32; i += kLanes) most = larger(most, bits_of(load<Floats>(x + i)) & 0x7FFFFFFF);
  const std::int32_t largest = largest_of(most);
  const float d = __builtin_bit_cast(float, largest) / 127.0f;
  const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
  const float factor = is_finite(inverse) ? inverse : 0.0f;  // ggml's levels are 0 where 1/d overflows
  if (largest >= kInfinityBits || !store_half(out, d)) return false;
  std::int32_t levels[32];
  std::int8_t bytes[32];
  for (int i = 0; i < 32; i += kLanes) store(levels + i, round_half_away(load<Floats>(x + i) * factor));
  for (int i = 0; i < 32; ++i) bytes[i] = static_cast<std::int8_t>(levels[i]);
  __builtin_memcpy(out + 2, bytes, sizeof bytes);
  return true;
}

inline bool encode_q8_0(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  bool stored = true;
  for (std::int64_t i = 0; i < length; i += 32, out += kQ80Bytes) stored = encode_q8_0_block(row + i, out) && stored;
  return stored;
}

inline void decode_q8_0(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += 32, blocks += kQ80Bytes) {
    const float d = load_half(blocks);
    for (int j = 0; j < 32; ++j) out[i + j] = static_cast<float>(static_cast<std::int8_t>(blocks[2 + j])) * d;
  }
}

}  // namespace
}  // namespace nkat::gguf
