// Where a text can be cut before byte-pair merging without changing its tokens: between two characters that are
// adjacent in no piece, since every merge across the cut would make a piece that holds both. A text cut into such
// words takes time and memory in proportion to its length, and words that come again need no merging.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/text/sentencepiece_model.h"

namespace nkat::data {

class SplitPoints {
 public:
  explicit SplitPoints(const std::vector<Piece>& pieces);

  // The first cut behind the character that the byte `from` is in, or the text's size; the text is valid UTF-8, and spaces count as
  // U+2581. Every cut is safe; a few that would be are not found.
  std::size_t next(std::string_view text, std::size_t from) const;

 private:
  static constexpr std::size_t kBits = std::size_t{1} << 20;
  static constexpr std::size_t kAscii = 128;
  static std::size_t place_of(char32_t left, char32_t right);

  // Pairs of characters inside a piece: of ASCII exactly, the others by a hash of both.
  std::bitset<kAscii * kAscii> ascii_;
  std::vector<bool> others_ = std::vector<bool>(kBits);
};

}  // namespace nkat::data
