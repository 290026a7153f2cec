#include "data/text/words/byte_alphabet.h"

#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr char32_t kFirstMoved = 0x100;

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The bytes that the characters from kFirstMoved stand for.
std::string moved_bytes() {
  std::string moved;
  for (int byte = 0; byte < 256; ++byte) {
    if (!stands_for_itself(byte)) moved.push_back(static_cast<char>(byte));
  }
  return moved;
}

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const std::array<std::string, 256> kAlphabet = [] {
    std::array<std::string, 256> alphabet;
    char32_t moved = kFirstMoved;
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : moved++;
      std::string& text = alphabet[static_cast<std::size_t>(byte)];
      if (c >= 0x80) text.push_back(static_cast<char>(0xC0 | c >> 6));
      text.push_back(static_cast<char>(c >= 0x80 ? 0x80 | (c & 0x3F) : c));
    }
    return alphabet;
  }();
  return kAlphabet;
}

std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  for (const char byte : bytes) spelling += byte_alphabet()[static_cast<unsigned char>(byte)];
  return spelling;
}

std::optional<std::string> bytes_of_spelling(std::string_view text) {
  static const std::string kMoved = moved_bytes();
  std::string bytes;
  for (std::size_t place = 0; place < text.size();) {
    const auto [c, length] = decode_code_point(text, place);
    place += length;
    if (c < kFirstMoved && stands_for_itself(static_cast<int>(c))) {
      bytes.push_back(static_cast<char>(c));
    } else if (c >= kFirstMoved && c < kFirstMoved + kMoved.size()) {
      bytes.push_back(kMoved[c - kFirstMoved]);
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

}  // namespace nkat::data
