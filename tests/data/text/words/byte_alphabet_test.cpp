#include "data/text/words/byte_alphabet.h"

#include <set>

#include <gtest/gtest.h>

namespace nkat::data {
namespace {

TEST(ByteAlphabet, SpellsEveryByteByAnotherCharacterAndBack) {
  std::set<std::string> characters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    EXPECT_TRUE(characters.insert(spell_bytes(bytes)).second) << byte;
    EXPECT_EQ(bytes_of_spelling(spell_bytes(bytes)), bytes) << byte;
  }
}

TEST(ByteAlphabet, IsGpt2s) {
  EXPECT_EQ(spell_bytes(" a\n\u00e9"), "\u0120a\u010a\u00c3\u00a9");
  EXPECT_EQ(spell_bytes(std::string("\0\x7F\xA0\xAD\xFF", 5)), "\u0100\u0121\u0142\u0143\u00ff");
}

TEST(ByteAlphabet, KnowsNoOtherCharacters) {
  for (const char* text : {" ", "\u0144", "\u3042", "\u00ad", "a\xFF"})
    EXPECT_EQ(bytes_of_spelling(text), std::nullopt) << text;
  EXPECT_EQ(bytes_of_spelling(""), "");
}

}  // namespace
}  // namespace nkat::data
