// UTF-8 (RFC 3629): validation, code points, and cutting a byte stream at whole characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nkat {

inline constexpr char32_t kInvalidCodePoint = 0xFFFFFFFF;

// The code point at `position` and its length in bytes; {kInvalidCodePoint, 1} where the bytes are not UTF-8
// (overlong, surrogate, above U+10FFFF, cut off).
struct DecodedCodePoint {
  char32_t value;
  std::size_t length;
};
DecodedCodePoint decode_code_point(std::string_view text, std::size_t position);

// The same of text that is known to be valid.
inline DecodedCodePoint decode_valid_code_point(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) { return char32_t{static_cast<unsigned char>(text[position + i])}; };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

// The byte offset of the first invalid sequence, or npos.
std::size_t find_invalid_utf8(std::string_view text);

// The number of leading bytes that form whole characters; the rest begins a character that more bytes could complete.
// Invalid bytes count as whole.
std::size_t complete_utf8_prefix(std::string_view text);

// Foreign text for a message: at most `longest` bytes, cut at a whole character, then " ...".
std::string ellipsize(std::string_view text, std::size_t longest = 100);

// Unicode property White_Space (PropList.txt of Unicode 15): 25 code points, U+200B is none of them.
bool is_unicode_white_space(char32_t code_point);

}  // namespace nkat
