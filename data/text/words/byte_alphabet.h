// GPT-2's alphabet, in which byte-level vocabularies spell bytes: printable Latin-1 characters stand for themselves, the
// other 68 bytes for U+0100 and onward in their order (space: U+0120).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace nkat::data {

const std::array<std::string, 256>& byte_alphabet();  // the character of each byte, in UTF-8
std::string spell_bytes(std::string_view bytes);
// Nothing if a character is not in the alphabet.
std::optional<std::string> bytes_of_spelling(std::string_view text);

}  // namespace nkat::data
