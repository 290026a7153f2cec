// What the CPU loops share: bfloat16 to float32 and back, exp, sums and maxima by lanes, dispatch by dtype. Written so
// that the compiler turns a loop over it into vector instructions (multiversion.h).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <ATen/core/Tensor.h>

#include "layers/cpu/multiversion.h"

namespace nkat::layers::cpu {

template <std::floating_point Value>
NKAT_INLINED Value widen(Value x) {
  return x;
}
// bfloat16 is the upper half of a float32.
NKAT_INLINED float widen(at::BFloat16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.x) << 16); }

// Rounds to nearest even; a NaN becomes the quiet one.
NKAT_INLINED void round_to(float x, at::BFloat16& target) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  target.x = static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}
template <std::floating_point Value>
NKAT_INLINED void round_to(Value x, Value& target) {
  target = x;
}

// exp by the reduction x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree 6 in r (coefficients: Cephes, expf);
// within 2 units in the last place for |x| < 87, 0 below, infinity above 88.7. NaN stays NaN.
NKAT_INLINED float exponential(float x) {
  const float clamped = x > -87.3f ? (x < 88.7f ? x : 88.7f) : -87.3f;  // NaN too, so that n is a number
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;   // 1.5 2^23 rounds to the nearest integer
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^n in two factors, since n = 128 has no float32 of its own.
  const auto whole = static_cast<std::int32_t>(n), half = whole >> 1;
  const float value = p * std::bit_cast<float>((half + 127) << 23) * std::bit_cast<float>((whole - half + 127) << 23);
  const float below = x < -87.3f ? 0.0f : value;
  return x > 88.7f ? HUGE_VALF : (x != x ? x : below);
}
NKAT_INLINED double exponential(double x) { return std::exp(x); }

// Lanes of a sum: entry i goes to lane i mod 16; the lanes are added in order at the end.
constexpr std::int64_t kLanes = 16;

// Σ term(i) over i < count.
template <typename Sum, typename Term>
NKAT_INLINED Sum lane_sum(std::int64_t count, const Term& term) {
  Sum lanes[kLanes] = {};
  std::int64_t first = 0;
  for (; first + kLanes <= count; first += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(first + lane);
  for (std::int64_t i = first; i < count; ++i) lanes[i - first] += term(i);
  Sum sum = 0;
  for (std::int64_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

// The largest of values, NaNs aside; -infinity if there is none.
template <typename Sum, typename Scalar>
NKAT_INLINED Sum lane_max(const Scalar* values, std::int64_t count) {
  Sum lanes[kLanes];
  for (Sum& lane : lanes) lane = -std::numeric_limits<Sum>::infinity();
  std::int64_t first = 0;
  for (; first + kLanes <= count; first += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const Sum x = widen(values[first + lane]);
      lanes[lane] = lanes[lane] < x ? x : lanes[lane];
    }
  for (std::int64_t i = first; i < count; ++i) lanes[0] = std::max(lanes[0], Sum(widen(values[i])));
  return *std::max_element(lanes, lanes + kLanes);
}

// The type that sums of Scalars are taken in.
template <typename Scalar>
using SumOf = std::conditional_t<std::is_same_v<Scalar, double>, double, float>;

// Calls run(Scalar{}, SumOf<Scalar>{}) with the element type of a tensor.
template <typename Run>
void with_type(at::ScalarType type, const Run& run) {
  switch (type) {
    case at::kFloat: return run(float{}, float{});
    case at::kDouble: return run(double{}, double{});
    case at::kBFloat16: return run(at::BFloat16{}, float{});
    default: TORCH_CHECK(false, "no loop for ", type);
  }
}

// Rows per task of at::parallel_for: about 16 Ki elements.
inline std::int64_t row_grain(std::int64_t row_length) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_length));
}

}  // namespace nkat::layers::cpu
