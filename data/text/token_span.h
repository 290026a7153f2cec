// A token with its place in the text.
#pragma once

#include <cstdint>

#include "data/text/added_tokens.h"

namespace nkat::data {

struct TokenSpan {
  std::int32_t id = 0;
  bool added = false;
  // The bytes of the original text that it stands for: of an added token with the white space it swallowed; where
  // normalization changed a sequence of characters, the whole sequence; where it stands for an inserted space alone, the
  // character behind that.
  ByteRange bytes;
};

}  // namespace nkat::data
