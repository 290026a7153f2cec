#include "data/inspect/nonfinite.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/float_bits.h"
#include "core/message.h"
#include "data/quantize/quantize.h"

namespace nkat::data {
namespace {

[[noreturn]] void refuse(const std::string& who, std::size_t element) {
  throw FormatError(
      fmt::format("{}: element {}: {}", who, element, expected("a finite number", "infinity or not a number")));
}

template <class Word>
void require_exponents(Word exponent, std::span<const std::byte> bytes, const std::string& who) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(Word); ++i) {
    Word word{};
    std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
    if (!is_finite(word, exponent)) refuse(who, i);
  }
}

}  // namespace

void require_finite(DType type, std::span<const std::byte> bytes, const std::string& who) {
  switch (type) {
    case DType::kF64: return require_exponents(kFloat64Exponent, bytes, who);
    case DType::kF32: return require_exponents(kFloat32Exponent, bytes, who);
    case DType::kF16: return require_exponents(kFloat16Exponent, bytes, who);
    case DType::kBF16: return require_exponents(kBfloat16Exponent, bytes, who);
    default: return;
  }
}

bool require_finite(gguf::GgmlType type, std::span<const std::byte> blocks, const std::string& who) {
  const gguf::GgmlTypeTraits& known = gguf::traits(type);
  if (!known.has_decoder) return false;
  constexpr std::size_t kBlocks = 512;
  std::vector<float> values;
  for (std::size_t begin = 0; begin < blocks.size(); begin += kBlocks * known.block_bytes) {
    const auto piece = blocks.subspan(begin, std::min(kBlocks * known.block_bytes, blocks.size() - begin));
    values.resize(piece.size() / known.block_bytes * known.block_elements);
    gguf::decode_rows(type, piece, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      refuse(who, begin / known.block_bytes * known.block_elements + i);
    }
  }
  return true;
}

}  // namespace nkat::data
