// Floating-point numbers kept as words: infinite or NaN are those whose exponent bits are all ones (IEEE 754; bfloat16
// has the exponent of float32).
#pragma once

#include <cstdint>

namespace nkat {

constexpr std::uint16_t kFloat16Exponent = 0x7C00, kBfloat16Exponent = 0x7F80;
constexpr std::uint32_t kFloat32Exponent = 0x7F80'0000;
constexpr std::uint64_t kFloat64Exponent = 0x7FF0'0000'0000'0000;

template <typename Word>
constexpr bool is_finite(Word word, Word exponent) {
  return (word & exponent) != exponent;
}

}  // namespace nkat
