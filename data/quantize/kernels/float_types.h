// F32, F16 and BF16: one element per block.
#pragma once

#include "data/quantize/kernels/half_floats.h"

namespace nkat::gguf {
namespace {

constexpr std::int64_t kStreamedFloats = 1 << 21;  // 8 MiB: more than a core's own caches

// write(to, vector) stores one vector. length: a multiple of kLanes.
template <typename Write>
inline bool copy_floats(const float* row, std::int64_t length, std::uint8_t* out, Write write) {
  Ints most = {};
  for (std::int64_t i = 0; i < length; i += kLanes) {
    const Floats values = load<Floats>(row + i);
    most = larger(most, bits_of(magnitude(values)));
    write(out + 4 * i, values);
  }
  return largest_of(most) < kInfinityBits;
}

inline bool copy_few(const float* row, std::int64_t length, std::uint8_t* out) {
  __builtin_memcpy(out, row, static_cast<std::size_t>(length) * sizeof(float));
  return all_finite(row, length);
}

inline bool encode_f32(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  constexpr std::uintptr_t kBytes = sizeof(Floats);
  const std::uintptr_t beyond = reinterpret_cast<std::uintptr_t>(out) % kBytes;
  const auto to_aligned = static_cast<std::int64_t>((kBytes - beyond) % kBytes / sizeof(float));
  const std::int64_t head = to_aligned < length ? to_aligned : length;
  const std::int64_t whole = (length - head) / kLanes * kLanes, tail = length - head - whole;
  bool finite = copy_few(row, head, out);
  if (beyond % sizeof(float) == 0 && length >= kStreamedFloats) {
    finite &= copy_floats(row + head, whole, out + 4 * head, [](std::uint8_t* to, Floats x) { stream(to, x); });
    finish_streams();
  } else {
    finite &= copy_floats(row + head, whole, out + 4 * head, [](std::uint8_t* to, Floats x) { store(to, x); });
  }
  return copy_few(row + length - tail, tail, out + 4 * (length - tail)) && finite;
}

inline void decode_f32(const std::uint8_t* blocks, std::int64_t count, float* out) {
  __builtin_memcpy(out, blocks, static_cast<std::size_t>(count) * sizeof(float));
}

// Magnitudes from which a 16-bit float is infinite, as bits: half a step above the largest finite one.
constexpr std::int32_t kHalfLimit = 0x477FF000;  // 65520
constexpr std::int32_t kBfloat16Limit = 0x7F7F8000;

// narrow(bits of floats) gives the bits of 16-bit floats.
template <typename Narrow>
inline bool encode_16_bits(const float* row, std::int64_t length, std::uint8_t* out, std::int32_t limit,
                           Narrow narrow) {
  typedef std::uint16_t Halves __attribute__((vector_size(2 * kLanes)));
  Ints most = {};
  std::int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    const Floats values = load<Floats>(row + i);
    most = larger(most, bits_of(magnitude(values)));
    store(out + 2 * i, __builtin_convertvector(narrow(reinterpret_cast<Words>(values)), Halves));
  }
  bool stored = largest_of(most) < limit;
  for (; i < length; ++i) {
    const auto half = static_cast<std::uint16_t>(narrow(__builtin_bit_cast(std::uint32_t, row[i])));
    __builtin_memcpy(out + 2 * i, &half, sizeof half);
    stored = stored && bits_of(magnitude(row[i])) < limit;
  }
  return stored;
}

inline bool encode_f16(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  return encode_16_bits(row, length, out, kHalfLimit, [](auto bits) { return half_bits(bits); });
}

inline void decode_f16(const std::uint8_t* blocks, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = load_half(blocks + 2 * i);
}

inline bool encode_bf16(const float* row, std::int64_t length, const float*, std::uint8_t* out) {
  return encode_16_bits(row, length, out, kBfloat16Limit, [](auto bits) { return bfloat16_bits(bits); });
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
