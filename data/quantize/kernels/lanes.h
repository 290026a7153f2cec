// A vector of floats, one per lane, as wide as the instruction set that this file is compiled for.
//
// The kernels are compiled once per instruction set (kernels_plain.cpp, kernels_avx2.cpp), so everything in kernels/
// has internal linkage and calls no function of the standard library: a copy of such a function made for AVX2 must not
// become the program's only one. A lane does what a scalar would do, operation by operation, so that all widths give
// the same bits; where a scalar algorithm sums in order, its sums run along lanes, never across.
#pragma once

#include <cstdint>

namespace nkat::gguf {
namespace {

#if defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t Words __attribute__((vector_size(4 * kLanes)));

constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: adding it leaves a float no bits below one
constexpr float kLargest = __FLT_MAX__;
constexpr std::int32_t kInfinityBits = 0x7F800000;

template <typename Vector>
inline Vector load(const void* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}
template <typename Vector>
inline void store(void* to, Vector vector) {
  __builtin_memcpy(to, &vector, sizeof vector);
}

// Past the cache, for what is too large to stay there. to: aligned to the vector.
inline void stream(void* to, Floats vector) {
#if defined(__clang__)
  __builtin_nontemporal_store(vector, static_cast<Floats*>(to));
#elif defined(__AVX2__)
  __builtin_ia32_movntps256(static_cast<float*>(to), vector);
#elif defined(__SSE2__)
  __builtin_ia32_movntps(static_cast<float*>(to), vector);
#else
  store(to, vector);
#endif
}
inline void finish_streams() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}

inline Floats all(float value) { return Floats{} + value; }
inline Floats select(Ints condition, Floats yes, Floats no) { return condition ? yes : no; }
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline Ints smaller(Ints a, Ints b) { return a < b ? a : b; }
inline Ints larger(Ints a, Ints b) { return a > b ? a : b; }
inline Ints bits_of(Floats x) { return reinterpret_cast<Ints>(x); }
inline Floats magnitude(Floats x) { return reinterpret_cast<Floats>(bits_of(x) & 0x7FFFFFFF); }
inline Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }
inline Ints truncate(Floats x) { return __builtin_convertvector(x, Ints); }  // |x| < 2^31

inline std::int32_t bits_of(float x) { return __builtin_bit_cast(std::int32_t, x); }
inline float magnitude(float x) { return __builtin_bit_cast(float, bits_of(x) & 0x7FFFFFFF); }
inline bool is_finite(float x) { return (bits_of(x) & kInfinityBits) != kInfinityBits; }

// The nearest integer, ties to even, for |x| <= 2^22; beyond that, for infinities and NaN, what is left in the
// mantissa's bits, which is what ggml stores.
inline std::int32_t nearest(float x) { return (bits_of(x + kRounding) & 0x7FFFFF) - 0x400000; }
inline Ints nearest(Floats x) { return (bits_of(x + kRounding) & 0x7FFFFF) - 0x400000; }
// The same as a float, for |x| <= 2^22 alone.
inline Floats nearest_float(Floats x) { return (x + kRounding) - kRounding; }

inline std::int32_t clamp(std::int32_t x, std::int32_t low, std::int32_t high) {
  return x < low ? low : x > high ? high : x;
}
inline Ints clamp(Ints x, std::int32_t low, std::int32_t high) {
  return smaller(larger(x, Ints{} + low), Ints{} + high);
}

// Joins all lanes in a tree; join(a, b) must not mind the order.
template <typename Vector, typename Join>
inline auto join_lanes(Vector x, Join join) {
#if defined(__AVX2__)
  x = join(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
  x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
  x = join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6));
#else
  x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1));
  x = join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2));
#endif
  return x[0];
}
inline float largest_of(Floats x) {
  return join_lanes(x, [](Floats a, Floats b) { return larger(a, b); });
}
inline std::int32_t largest_of(Ints x) {
  return join_lanes(x, [](Ints a, Ints b) { return larger(a, b); });
}
inline std::uint32_t all_bits_of(Words x) {
  return join_lanes(x, [](Words a, Words b) { return a | b; });
}

// The lanes, 0 ... 255 each, as consecutive bytes.
inline void store_bytes(std::uint8_t* to, Ints x) {
  typedef std::uint64_t Pairs __attribute__((vector_size(4 * kLanes)));
  Pairs position;
  for (int i = 0; i < kLanes / 2; ++i) position[i] = 16u * static_cast<std::uint64_t>(i);
  const Pairs pairs = reinterpret_cast<Pairs>(x);
  const Pairs placed = ((pairs | pairs >> 24) & 0xFFFF) << position;
  std::uint64_t bytes = placed[0];
  for (int i = 1; i < kLanes / 2; ++i) bytes |= placed[i];
  __builtin_memcpy(to, &bytes, kLanes);
}

inline Floats square_roots(Floats x) {
  Floats roots;
  for (int lane = 0; lane < kLanes; ++lane) roots[lane] = __builtin_sqrtf(x[lane]);
  return roots;
}

// columns[i] holds element i of kLanes blocks of kCount elements that follow one another. Blocks from `count` on are
// zero.
template <int kCount>
inline void load_columns(const float* blocks, int count, Floats (&columns)[kCount]) {
  alignas(Floats) float turned[kCount][kLanes] = {};
  for (int lane = 0; lane < count; ++lane) {
    for (int i = 0; i < kCount; ++i) turned[i][lane] = blocks[lane * kCount + i];
  }
  for (int i = 0; i < kCount; ++i) columns[i] = load<Floats>(turned[i]);
}

inline bool all_finite(const float* values, std::int64_t count) {
  Ints most = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) most = larger(most, bits_of(magnitude(load<Floats>(values + i))));
  bool finite = largest_of(most) < kInfinityBits;
  for (; i < count; ++i) finite = finite && is_finite(values[i]);
  return finite;
}
template <int kCount>
inline bool all_finite(const float (&values)[kCount]) {
  Ints most = {};
  for (int i = 0; i < kCount; i += kLanes) most = larger(most, bits_of(magnitude(load<Floats>(values + i))));
  return largest_of(most) < kInfinityBits;
}

inline float sum_of_squares(const float* x, std::int64_t count) {
  float sum = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
  return sum;
}

// weights[i] = importance[i] sqrt(offset + x[i]^2); count a multiple of kLanes
inline void weigh(const float* x, const float* importance, float offset, int count, float* weights) {
  for (int i = 0; i < count; i += kLanes) {
    const Floats value = load<Floats>(x + i);
    store(weights + i, load<Floats>(importance + i) * square_roots(offset + value * value));
  }
}

}  // namespace
}  // namespace nkat::gguf
