// F32, F16 and BF16: one element a block.
#pragma once

#include "export/quantize/kernels/half_floats.h"

namespace nkat::gguf {
namespace {

inline bool encode_f32(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  __builtin_memcpy(out, row, static_cast<std::size_t>(length) * sizeof(float));
  return all_finite(row, length);
}

inline void decode_f32(const std::uint8_t* blocks, std::int64_t count, float* out) {
  __builtin_memcpy(out, blocks, static_cast<std::size_t>(count) * sizeof(float));
}

// Narrow(bits of floats) gives the bits of 16-bit floats, whose exponent is all ones where they are infinite or NaN.
template <typename Narrow>
inline bool encode_16_bits(const float* row, std::int64_t length, std::uint8_t* out, std::uint32_t exponent,
                           Narrow narrow) {
  typedef std::uint16_t Halves __attribute__((vector_size(2 * kLanes)));
  Ints broken = {};
  std::int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    const Words bits = narrow(load<Words>(row + i));
    broken |= (bits & exponent) == exponent;
    store(out + 2 * i, __builtin_convertvector(bits, Halves));
  }
  bool finite = all_bits_of(reinterpret_cast<Words>(broken)) == 0;
  for (; i < length; ++i) {
    const std::uint32_t bits = narrow(__builtin_bit_cast(std::uint32_t, row[i]));
    const auto half = static_cast<std::uint16_t>(bits);
    finite = finite && (bits & exponent) != exponent;
    __builtin_memcpy(out + 2 * i, &half, sizeof half);
  }
  return finite;
}

inline bool encode_f16(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  const bool finite = encode_16_bits(row, length, out, 0x7C00, [](auto bits) { return half_bits(bits); });
  return finite;
}

inline void decode_f16(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = load_half(blocks + 2 * i);
}

// A NaN's mantissa can carry into the exponent and beyond, so NaN is looked for in the input.
inline bool encode_bf16(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  const bool finite = encode_16_bits(row, length, out, 0x7F80, [](auto bits) { return bfloat16_bits(bits); });
  return finite && all_finite(row, length);
}

inline void decode_bf16(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    __builtin_memcpy(&half, blocks + 2 * i, sizeof half);
    out[i] = __builtin_bit_cast(float, std::uint32_t{half} << 16);
  }
}

}  // namespace
}  // namespace nkat::gguf
