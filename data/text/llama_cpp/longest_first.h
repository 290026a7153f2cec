// How llama.cpp finds special tokens in a text (tokenizer_st_partition): all places of the longest one first, then those of the
// next one in what is left, so that a shorter token further left may lose a character to a longer one. Of tokens of one length
// the lower id comes first. White space that one swallows is ASCII's, and as far as the next token.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::data {

class LongestFirstScanner {
 public:
  // The tokens must outlive the scanner.
  explicit LongestFirstScanner(std::span<const AddedToken> tokens);

  // The parts of the text in order, none of them empty; no token touches a literal range. Literal ranges are sorted.
  std::vector<TextPart> scan(std::string_view text, std::span<const ByteRange> literal) const;

 private:
  struct Place {
    const AddedToken* token = nullptr;
    std::size_t begin = 0;
  };
  std::vector<Place> places(std::string_view text, std::span<const ByteRange> literal) const;

  std::array<std::vector<const AddedToken*>, 256> by_first_byte_;
};

}  // namespace nkat::data
