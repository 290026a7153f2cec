// The forward row of layers/cpu/swiglu.cpp in Google Highway's spelling: the same products and sums in the same order,
// of which gcc then makes the same fused multiply-adds. Rows are a multiple of a vector long; bfloat16 comes as its bits.
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "scripts/measure/highway_swiglu_theirs.cpp"
#include <hwy/foreach_target.h>  // reads this file once for each processor level
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace highway::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

const hn::ScalableTag<float> kFloats;
const hn::RebindToSigned<decltype(kFloats)> kInts;
const hn::RebindToUnsigned<decltype(kFloats)> kWords;
using Floats = hn::Vec<decltype(kFloats)>;
using Words = hn::Vec<decltype(kWords)>;

HWY_INLINE Floats all(float value) { return hn::Set(kFloats, value); }

HWY_INLINE Floats power_of_two(hn::Vec<decltype(kInts)> n) {
  return hn::BitCast(kFloats, hn::ShiftLeft<23>(hn::Add(n, hn::Set(kInts, 127))));
}

// `exponential` of layers/cpu/simd.h.
HWY_INLINE Floats exponential(Floats x) {
  const Floats low = all(-87.3f), high = all(88.7f), magic = all(12582912.0f);
  const Floats clamped = hn::IfThenElse(hn::Gt(x, low), hn::IfThenElse(hn::Lt(x, high), x, high), low);
  const Floats n = hn::Sub(hn::Add(hn::Mul(clamped, all(1.44269504088896341f)), magic), magic);
  const Floats r = hn::Add(hn::Sub(clamped, hn::Mul(n, all(0.693359375f))), hn::Mul(n, all(2.12194440e-4f)));
  Floats p = all(1.9875691500e-4f);
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = hn::Add(hn::Mul(p, r), all(c));
  p = hn::Add(hn::Add(hn::Mul(hn::Mul(p, r), r), r), all(1.0f));
  const auto whole = hn::ConvertTo(kInts, n), half = hn::ShiftRight<1>(whole);
  const Floats value = hn::Mul(hn::Mul(p, power_of_two(half)), power_of_two(hn::Sub(whole, half)));
  const Floats below = hn::IfThenElse(hn::Lt(x, low), hn::Zero(kFloats), value);
  return hn::IfThenElse(hn::Gt(x, high), hn::Inf(kFloats), hn::IfThenElse(hn::IsNaN(x), x, below));
}

HWY_INLINE Floats product(Floats g, Floats u) {
  const Floats one = all(1.0f), sigmoid = hn::Div(one, hn::Add(one, exponential(hn::Neg(g))));
  return hn::Mul(hn::Mul(g, sigmoid), u);
}

// bfloat16 by pairs in a 32-bit word, so that no lane moves to another place.
HWY_INLINE Floats lower(Words pairs) { return hn::BitCast(kFloats, hn::ShiftLeft<16>(pairs)); }
HWY_INLINE Floats upper(Words pairs) { return hn::BitCast(kFloats, hn::And(pairs, hn::Set(kWords, 0xffff0000u))); }

// `round_to` of layers/cpu/simd.h; the lower half of each word is left over.
HWY_INLINE Words rounded(Floats x) {
  const Words bits = hn::BitCast(kWords, x), odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kWords, 1));
  const Words nearest = hn::Add(hn::Add(bits, hn::Set(kWords, 0x7fff)), odd);
  return hn::IfThenElse(hn::RebindMask(kWords, hn::IsNaN(x)), hn::Set(kWords, 0x7fc00000u), nearest);
}

HWY_INLINE void row(const float* gate, const float* up, float* out, std::int64_t width) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(kFloats));
  for (std::int64_t i = 0; i < width; i += lanes)
    hn::StoreU(product(hn::LoadU(kFloats, gate + i), hn::LoadU(kFloats, up + i)), kFloats, out + i);
}

HWY_INLINE void row(const std::uint32_t* gate, const std::uint32_t* up, std::uint32_t* out, std::int64_t width) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(kWords));
  for (std::int64_t i = 0; i < width; i += lanes) {
    const Words g = hn::LoadU(kWords, gate + i), u = hn::LoadU(kWords, up + i);
    const Words low = rounded(product(lower(g), lower(u))), high = rounded(product(upper(g), upper(u)));
    hn::StoreU(hn::Or(hn::ShiftRight<16>(low), hn::And(high, hn::Set(kWords, 0xffff0000u))), kWords, out + i);
  }
}

template <typename Scalar>
HWY_INLINE void all_rows(const Scalar* gate_up, Scalar* out, std::int64_t rows, std::int64_t width) {
  for (std::int64_t t = 0; t < rows; ++t)
    row(gate_up + 2 * t * width, gate_up + (2 * t + 1) * width, out + t * width, width);
}

void float_rows(const float* gate_up, float* out, std::int64_t rows, std::int64_t width) {
  all_rows(gate_up, out, rows, width);
}
void bfloat16_rows(const std::uint16_t* gate_up, std::uint16_t* out, std::int64_t rows, std::int64_t width) {
  all_rows(reinterpret_cast<const std::uint32_t*>(gate_up), reinterpret_cast<std::uint32_t*>(out), rows, width / 2);
}
const char* level() { return hwy::TargetName(HWY_TARGET); }

}  // namespace highway::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace highway {

HWY_EXPORT(float_rows);
HWY_EXPORT(bfloat16_rows);
HWY_EXPORT(level);

void swiglu(const float* gate_up, float* out, std::int64_t rows, std::int64_t width) {
  HWY_DYNAMIC_DISPATCH(float_rows)(gate_up, out, rows, width);
}
void swiglu(const std::uint16_t* gate_up, std::uint16_t* out, std::int64_t rows, std::int64_t width) {
  HWY_DYNAMIC_DISPATCH(bfloat16_rows)(gate_up, out, rows, width);
}
const char* version() { return HWY_STR(HWY_MAJOR) "." HWY_STR(HWY_MINOR) "." HWY_STR(HWY_PATCH); }
const char* chosen_level() { return HWY_DYNAMIC_DISPATCH(level)(); }

}  // namespace highway
#endif
