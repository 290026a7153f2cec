#include "data/text/words/split_points.h"

#include "core/utf8.h"
#include "data/text/words/space_mark.h"

namespace nkat::data {
std::size_t SplitPoints::place_of(char32_t left, char32_t right) {
  return static_cast<std::size_t>((std::uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15 >> 44);
}

SplitPoints::SplitPoints(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    if (piece.type == PieceType::kByte) continue;  // its text is the byte's name
    char32_t left = 0;
    for (std::size_t position = 0; position < piece.text.size();) {
      const DecodedCodePoint point = decode_code_point(piece.text, position);
      const char32_t right = point.value == kSpaceMark ? ' ' : point.value;
      if (position > 0) {
        if (left < kAscii && right < kAscii) {
          ascii_[left * kAscii + right] = true;
        } else {
          others_[place_of(left, right)] = true;
        }
      }
      left = right;
      position += point.length;
    }
  }
}

std::size_t SplitPoints::next(std::string_view text, std::size_t from) const {
  if (from >= text.size()) return text.size();
  while (from > 0 && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) --from;
  const DecodedCodePoint first = decode_valid_code_point(text, from);
  char32_t left = first.value == kSpaceMark ? ' ' : first.value;
  for (std::size_t position = from + first.length; position < text.size();) {
    const DecodedCodePoint point = decode_valid_code_point(text, position);
    const char32_t right = point.value == kSpaceMark ? ' ' : point.value;
    const bool joined =
        left < kAscii && right < kAscii ? ascii_[left * kAscii + right] : others_[place_of(left, right)];
    if (!joined) return position;
    left = right;
    position += point.length;
  }
  return text.size();
}

}  // namespace nkat::data
