#include "data/text/llama_cpp/unknown_characters.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace nkat::data {
namespace {

// Unicode 16 added 5,185 characters (The Unicode Standard 16.0, "Character counts"), and llama.cpp's tables are of 15.1.
TEST(CharactersUnknownToLlamaCpp, AreThoseOfUnicode16) {
  const auto ranges = characters_unknown_to_llama_cpp();
  EXPECT_TRUE(std::ranges::is_sorted(ranges));
  std::size_t count = 0;
  char32_t end = 0;
  for (const auto& [first, last] : ranges) {
    EXPECT_GT(first, end);
    EXPECT_LE(first, last);
    count += last - first + 1;
    end = last;
  }
  EXPECT_EQ(count, 5185u);
  const auto holds = [&](char32_t c) {
    return std::ranges::any_of(ranges, [&](const auto& range) { return range.first <= c && c <= range.second; });
  };
  EXPECT_TRUE(holds(0x10D4A));  // GARAY VOWEL SIGN A
  EXPECT_FALSE(holds(0x2FFC));  // of Unicode 15.1
  EXPECT_FALSE(holds(U'\u00E9'));
}

}  // namespace
}  // namespace nkat::data
