// Where a text can be cut before byte-pair merging without changing its tokens: between two characters that are
// adjacent in no piece, since every merge across the cut would make a piece that holds both. Long texts encoded in such
// chunks take time and memory in proportion to their length.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "data/text/sentencepiece_model.h"

namespace nkat::data {

class SplitPoints {
 public:
  explicit SplitPoints(const std::vector<Piece>& pieces);

  // The first safe cut at or behind `from` (a byte of valid UTF-8), or the text's size.
  std::size_t next(std::string_view text, std::size_t from) const;

 private:
  std::unordered_set<std::uint64_t> neighbors_;  // both code points of each pair inside a piece
};

}  // namespace nkat::data
