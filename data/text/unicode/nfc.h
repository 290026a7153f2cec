// Unicode's normalization form C (UAX 15), with the place in the original text of every byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::data {

struct NormalizedText {
  std::string text;
  std::vector<ByteRange> origins;  // of each byte of the text: where in the original it comes from
};

// Nothing if the text, which is valid UTF-8, is in that form already. Where a sequence changed, each of its bytes comes from
// the whole sequence.
std::optional<NormalizedText> to_nfc(std::string_view text);

}  // namespace nkat::data
