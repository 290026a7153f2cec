#include "data/text/split_points.h"

#include "core/utf8.h"

namespace nkat::data {
namespace {

std::uint64_t pair_of(char32_t left, char32_t right) { return std::uint64_t{left} << 32 | right; }

}  // namespace

SplitPoints::SplitPoints(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    char32_t left = 0;
    for (std::size_t position = 0; position < piece.text.size();) {
      const DecodedCodePoint point = decode_code_point(piece.text, position);
      if (position > 0) neighbors_.insert(pair_of(left, point.value));
      left = point.value;
      position += point.length;
    }
  }
}

std::size_t SplitPoints::next(std::string_view text, std::size_t from) const {
  if (from >= text.size()) return text.size();
  while (from > 0 && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) --from;
  DecodedCodePoint left = decode_code_point(text, from);
  for (std::size_t position = from + left.length; position < text.size();) {
    const DecodedCodePoint right = decode_code_point(text, position);
    if (!neighbors_.contains(pair_of(left.value, right.value))) return position;
    left = right;
    position += right.length;
  }
  return text.size();
}

}  // namespace nkat::data
