// The character that stands for a space in SentencePiece's vocabularies: U+2581, LOWER ONE EIGHTH BLOCK.
#pragma once

#include <string_view>

namespace nkat::data {

inline constexpr char32_t kSpaceMark = 0x2581;
inline constexpr std::string_view kSpaceMarkText = "\u2581";

}  // namespace nkat::data
