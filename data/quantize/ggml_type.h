// The tensor types of GGUF files: ids, names, and how many bytes hold how many elements.
//
// A type stores blocks of `block_elements` consecutive elements of a row in `block_bytes` bytes. Every id that ggml
// knows is listed, so that a file's tensors can be measured and copied; quantize.h encodes those with `has_encoder` and
// decodes those with `has_decoder`, which are all that ggml decodes. Ids 4, 5, 31-33 and 36-38 are retired and rejected. Source of the table: ggml.h and
// ggml-common.h of llama.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nkat::gguf {

enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

struct GgmlTypeTraits {
  GgmlType type = GgmlType::kF32;
  const char* name = "";  // as ggml writes it: "f16", "q4_K"
  std::uint32_t block_elements = 1;
  std::uint32_t block_bytes = 4;
  bool has_encoder = false;  // encode_rows knows it
  bool has_decoder = false;  // decode_rows knows it
};

const GgmlTypeTraits& traits(GgmlType type);
std::optional<GgmlType> ggml_type_of(std::uint32_t id);          // nothing for a retired or unknown id
std::optional<GgmlType> parse_ggml_type(std::string_view name);  // "q4_k": capital letters don't matter

// Bytes of `elements` elements; nothing if they are no whole number of blocks, or the product passes 2^64.
std::optional<std::uint64_t> tensor_bytes(GgmlType type, std::uint64_t elements);

// The type in which rows of this length are stored where `wanted` was asked for: where they are no multiple of 256,
// Q4_K becomes Q5_0, Q5_K Q5_1 and Q6_K Q8_0; what still doesn't divide into whole blocks becomes F16.
GgmlType storable_type(GgmlType wanted, std::uint64_t row_length);

}  // namespace nkat::gguf
