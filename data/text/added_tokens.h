// Added tokens of a model folder (`<|user|>`, `<|end|>`, ...): where they are declared and how a text is scanned for
// them, as Hugging Face's tokenizers does it (formats of tokenizer.json, tokenizer_config.json, added_tokens.json).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/file.h"

namespace nkat::data {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = false;     // left out by decode(skip_special)
  bool strip_left = false;  // swallows white space before it
  bool strip_right = false;
  bool normalized = false;  // matched in the normalized text
  bool single_word = false;  // only where no letter, digit or underscore touches it
};

// Sorted by id. From tokenizer.json; without it tokenizer_config.json (added_tokens_decoder); without that
// added_tokens.json. `single_word` tokens, ids above 2^24, duplicate contents and ids are a FormatError.
std::vector<AddedToken> read_added_tokens(const fs::path& model_folder);

struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Does the range overlap one of these sorted ranges?
bool touches(ByteRange range, std::span<const ByteRange> sorted);

// A part of a scanned text: an added token with the white space it swallowed, or what lies between two of them.
struct TextPart {
  const AddedToken* token = nullptr;
  ByteRange bytes;
};

class AddedTokenScanner {
 public:
  // Looks for the tokens whose `normalized` is as given; they must outlive the scanner.
  AddedTokenScanner(std::span<const AddedToken> tokens, bool normalized);

  // The parts of the text in order, none of them empty. Leftmost match first, the longest of those at one place; no
  // match touches a literal range. Literal ranges are sorted.
  std::vector<TextPart> scan(std::string_view text, std::span<const ByteRange> literal) const;
  bool empty() const { return empty_; }

 private:
  struct Candidate {
    std::string text;
    const AddedToken* token = nullptr;
  };
  std::array<std::vector<Candidate>, 256> by_first_byte_;  // longest first
  bool empty_ = true;
};

// A text as byte-pair encoding sees it: U+2581 in front, U+2581 for every space. Empty stays empty.
std::string escape_spaces(std::string_view text);

}  // namespace nkat::data
