// Unicode's canonical decompositions and compositions (UAX 15), of the version that the normalizer NFC of Hugging Face's
// `tokenizers` knows; what a later version added stays as it is. Tables in canonical_table.cpp; Hangul is computed.
#pragma once

#include <cstdint>
#include <span>

namespace nkat::data {

struct CombiningClassRun {
  char32_t first = 0;
  char32_t last = 0;
  std::uint8_t combining_class = 0;
};
struct CanonicalPair {
  char32_t composed = 0;
  char32_t first = 0;
  char32_t second = 0;  // 0 in a singleton
};

std::span<const CombiningClassRun> combining_class_runs();
std::span<const CanonicalPair> canonical_singletons();  // never composed again
std::span<const CanonicalPair> composing_pairs();
std::span<const CanonicalPair> excluded_pairs();  // never composed again

}  // namespace nkat::data
