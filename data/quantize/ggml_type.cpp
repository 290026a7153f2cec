#include "data/quantize/ggml_type.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace nkat::gguf {
namespace {

using enum GgmlType;

constexpr std::array kTypes = {
    GgmlTypeTraits{kF32, "f32", 1, 4, true, true},
    GgmlTypeTraits{kF16, "f16", 1, 2, true, true},
    GgmlTypeTraits{kQ4_0, "q4_0", 32, 18, true, true},
    GgmlTypeTraits{kQ4_1, "q4_1", 32, 20, false, true},
    GgmlTypeTraits{kQ5_0, "q5_0", 32, 22, true, true},
    GgmlTypeTraits{kQ5_1, "q5_1", 32, 24, true, true},
    GgmlTypeTraits{kQ8_0, "q8_0", 32, 34, true, true},
    GgmlTypeTraits{kQ8_1, "q8_1", 32, 36, false, false},
    GgmlTypeTraits{kQ2_K, "q2_K", 256, 84, false, true},
    GgmlTypeTraits{kQ3_K, "q3_K", 256, 110, false, true},
    GgmlTypeTraits{kQ4_K, "q4_K", 256, 144, true, true},
    GgmlTypeTraits{kQ5_K, "q5_K", 256, 176, true, true},
    GgmlTypeTraits{kQ6_K, "q6_K", 256, 210, true, true},
    GgmlTypeTraits{kQ8_K, "q8_K", 256, 292, false, false},
    GgmlTypeTraits{kIQ2_XXS, "iq2_xxs", 256, 66, false, true},
    GgmlTypeTraits{kIQ2_XS, "iq2_xs", 256, 74, false, true},
    GgmlTypeTraits{kIQ3_XXS, "iq3_xxs", 256, 98, false, true},
    GgmlTypeTraits{kIQ1_S, "iq1_s", 256, 50, false, true},
    GgmlTypeTraits{kIQ4_NL, "iq4_nl", 32, 18, false, true},
    GgmlTypeTraits{kIQ3_S, "iq3_s", 256, 110, false, true},
    GgmlTypeTraits{kIQ2_S, "iq2_s", 256, 82, false, true},
    GgmlTypeTraits{kIQ4_XS, "iq4_xs", 256, 136, false, true},
    GgmlTypeTraits{kI8, "i8", 1, 1, false, false},
    GgmlTypeTraits{kI16, "i16", 1, 2, false, false},
    GgmlTypeTraits{kI32, "i32", 1, 4, false, false},
    GgmlTypeTraits{kI64, "i64", 1, 8, false, false},
    GgmlTypeTraits{kF64, "f64", 1, 8, false, false},
    GgmlTypeTraits{kIQ1_M, "iq1_m", 256, 56, false, true},
    GgmlTypeTraits{kBF16, "bf16", 1, 2, true, true},
    GgmlTypeTraits{kTQ1_0, "tq1_0", 256, 54, false, true},
    GgmlTypeTraits{kTQ2_0, "tq2_0", 256, 66, false, true},
    GgmlTypeTraits{kMXFP4, "mxfp4", 32, 17, false, true},
    GgmlTypeTraits{kNVFP4, "nvfp4", 64, 36, false, true},
    GgmlTypeTraits{kQ1_0, "q1_0", 128, 18, false, true},
    GgmlTypeTraits{kQ2_0, "q2_0", 64, 18, false, true},
};

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

bool same_but_for_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, {}, lower, lower);
}

GgmlType without_super_blocks(GgmlType type) {
  switch (type) {
    case kQ4_K: return kQ5_0;
    case kQ5_K: return kQ5_1;
    case kQ6_K: return kQ8_0;
    default: return type;
  }
}

}  // namespace

const GgmlTypeTraits& traits(GgmlType type) {
  const auto row = std::ranges::find(kTypes, type, &GgmlTypeTraits::type);
  NKAT_INVARIANT(row != kTypes.end());
  return *row;
}

std::optional<GgmlType> ggml_type_of(std::uint32_t id) {
  const auto row = std::ranges::find(kTypes, static_cast<GgmlType>(id), &GgmlTypeTraits::type);
  return row == kTypes.end() ? std::nullopt : std::optional(row->type);
}

std::optional<GgmlType> parse_ggml_type(std::string_view name) {
  const auto row = std::ranges::find_if(kTypes, [&](const auto& one) { return same_but_for_case(one.name, name); });
  return row == kTypes.end() ? std::nullopt : std::optional(row->type);
}

std::optional<std::uint64_t> tensor_bytes(GgmlType type, std::uint64_t elements) {
  const GgmlTypeTraits& one = traits(type);
  std::uint64_t bytes = 0;
  if (elements % one.block_elements != 0) return std::nullopt;
  if (__builtin_mul_overflow(elements / one.block_elements, std::uint64_t{one.block_bytes}, &bytes))
    return std::nullopt;
  return bytes;
}

GgmlType storable_type(GgmlType wanted, std::uint64_t row_length) {
  const auto fits = [&](GgmlType type) { return row_length % traits(type).block_elements == 0; };
  const GgmlType type = fits(wanted) ? wanted : without_super_blocks(wanted);
  return fits(type) ? type : kF16;
}

}  // namespace nkat::gguf
