// IEEE half and bfloat16 to and from float32, rounded to nearest even, one at a time or a vector of them.
// The half conversions follow Fabian Giesen's "float->half variants" (public domain): integer steps that need no
// table and give subnormals the machine's own rounding. Value is Words for vectors, std::uint32_t for one.
#pragma once

#include <cstdint>

#include "data/quantize/kernels/lanes.h"

namespace nkat::gguf {
namespace {

template <typename Value>
struct FloatOf;
template <>
struct FloatOf<Words> {
  using Type = Floats;
};
template <>
struct FloatOf<std::uint32_t> {
  using Type = float;
};
template <typename Value>
inline typename FloatOf<Value>::Type as_float(Value bits) {
  return __builtin_bit_cast(typename FloatOf<Value>::Type, bits);
}

constexpr std::uint32_t kHalfOverflow = 0x47800000;   // 65536: infinity as a half, whatever the rounding
constexpr std::uint32_t kHalfSmallest = 0x38800000;   // 2^-14: below, halves are subnormal
constexpr std::uint32_t kHalfSubnormal = 0x3F000000;  // 0.5: adding it leaves the bits that a subnormal half keeps

// Bits of a finite float32 or infinity -> bits of the half in the low 16; what overflows becomes infinity.
template <typename Value>
inline Value half_bits(Value float_bits) {
  const Value sign = (float_bits >> 16) & 0x8000u;
  const Value size = float_bits & 0x7FFFFFFFu;
  const Value subnormal = __builtin_bit_cast(Value, as_float<Value>(size) + 0.5f) - kHalfSubnormal;
  const Value normal = (size - (112u << 23) + 0xFFFu + ((size >> 13) & 1u)) >> 13;
  const Value infinite = size * 0u + 0x7C00u;
  const Value bounded = size >= kHalfOverflow ? infinite : normal;
  return sign | (size < kHalfSmallest ? subnormal : bounded);
}

template <typename Value>
inline typename FloatOf<Value>::Type half_to_float(Value half) {
  const Value sign = (half & 0x8000u) << 16;
  const Value shifted = (half & 0x7FFFu) << 13;
  const Value value = __builtin_bit_cast(Value, as_float<Value>(shifted) * 0x1p112f);
  const Value special = shifted | 0x7F800000u;  // infinity and NaN
  return as_float<Value>(sign | (shifted >= (0x7C00u << 13) ? special : value));
}

template <typename Value>
inline Value bfloat16_bits(Value float_bits) {
  return (float_bits + 0x7FFFu + ((float_bits >> 16) & 1u)) >> 16;
}

inline std::uint16_t to_half(float x) {
  return static_cast<std::uint16_t>(half_bits(__builtin_bit_cast(std::uint32_t, x)));
}
inline float from_half(std::uint16_t half) { return half_to_float(std::uint32_t{half}); }
inline bool is_finite_half(std::uint16_t half) { return (half & 0x7C00) != 0x7C00; }

// Writes the half and tells whether it is finite.
inline bool store_half(std::uint8_t* to, float x) {
  const std::uint16_t half = to_half(x);
  __builtin_memcpy(to, &half, sizeof half);
  return is_finite_half(half) && is_finite(x);
}
inline float load_half(const std::uint8_t* from) {
  std::uint16_t half = 0;
  __builtin_memcpy(&half, from, sizeof half);
  return from_half(half);
}

}  // namespace
}  // namespace nkat::gguf
