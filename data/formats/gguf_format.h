// The GGUF container: its byte layout, value types, and the limits that reader and writer keep. All numbers are
// little-endian; a string is a u64 number of bytes and the bytes, without a NUL at the end.
//
//   1. 4 bytes    "GGUF"
//   2. u32        version: 3 is written, 2 (the same layout) and 3 are read
//   3. i64        number of tensors
//   4. i64        number of metadata pairs
//   5. each pair: string key | i32 value type | value
//                 a bool is one byte, 0 or 1; an array is an i32 element type | u64 count | the elements, back to back
//   6. each tensor: string name | u32 number of dimensions | i64 each dimension, the one whose elements lie together
//                   first | i32 ggml type | u64 offset of its bytes from the start of the data
//   7. padding up to a multiple of the alignment, counted from the start of the file
//   8. the data: each tensor's bytes and padding up to a multiple of the alignment, in the order of 6
//
// The alignment is the u32 general.alignment, 32 if there is none. Tensors lie exactly one after the other; padding
// behind the last one may be missing, and nothing may follow it. Source: gguf.h and gguf.cpp of llama.cpp; where that
// leaves more open (zero dimensions, alignment without bound, bytes behind the data) this reader is stricter.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nkat::gguf {

enum class ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

const char* value_type_name(ValueType type);               // "u32", "string"
std::optional<ValueType> value_type_of(std::uint32_t id);  // nothing for an unknown id
std::uint64_t value_size(ValueType type);                  // bytes; of strings and arrays: the smallest number

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint32_t kOldestVersion = 2;
inline constexpr std::uint32_t kDefaultAlignment = 32;
inline constexpr std::string_view kAlignmentKey = "general.alignment";

inline constexpr std::uint32_t kLargestAlignment = 1 << 20;
inline constexpr std::uint64_t kMostPairs = 65'536;
inline constexpr std::uint64_t kMostTensors = 65'536;
inline constexpr std::uint64_t kLongestKey = 65'535;           // bytes
inline constexpr std::uint64_t kLongestTensorName = 63;        // bytes; ggml keeps 64 with the NUL
inline constexpr std::uint64_t kLongestString = 64ULL << 20;   // bytes
inline constexpr std::uint64_t kLongestTokenText = 64 * 1024;  // bytes
inline constexpr std::uint32_t kMostDimensions = 4;
// The shortest pair (a key of one byte, a u8) and tensor (a name of one byte, one dimension).
inline constexpr std::uint64_t kSmallestPair = 8 + 1 + 4 + 1;
inline constexpr std::uint64_t kSmallestTensorInfo = 8 + 1 + 4 + 8 + 4 + 8;

}  // namespace nkat::gguf
