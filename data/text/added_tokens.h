// Added tokens of a model folder (`<|user|>`, `<|end|>`, ...): where they are declared and how a text is scanned for
// them, as Hugging Face's tokenizers does it (formats of tokenizer.json, tokenizer_config.json, added_tokens.json).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/files/file.h"

namespace nkat::data {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = false;     // left out by decode(skip_special)
  bool strip_left = false;  // swallows white space before it
  bool strip_right = false;
  bool normalized = false;   // matched in the normalized text
  bool single_word = false;  // only where no letter, digit or underscore touches it
};

// Sorted by id. From tokenizer.json; without it tokenizer_config.json (added_tokens_decoder); without that
// added_tokens.json. Ids above 2^24, duplicate contents and ids are a FormatError.
std::vector<AddedToken> read_added_tokens(const fs::path& model_folder);

// The value of `added_tokens` in tokenizer.json; source: the file's name, for messages.
std::vector<AddedToken> parse_added_tokens(const nlohmann::json& tokens, const std::string& source);

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
  using Normalize = std::function<std::string(std::string_view)>;
  // Looks for the tokens whose `normalized` is as given; they must outlive the scanner. Their contents are brought to the
  // form of the texts that will be scanned.
  AddedTokenScanner(std::span<const AddedToken> tokens, bool normalized, const Normalize& normalize = {});

  // The parts of the text in order, none of them empty. Leftmost match first, the longest of those at one place; no
  // match touches a literal range. Literal ranges are sorted. White space that a token swallowed may itself be a token;
  // then its bytes are in two parts, as in `tokenizers`.
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

}  // namespace nkat::data
