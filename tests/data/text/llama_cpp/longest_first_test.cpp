#include "data/text/llama_cpp/longest_first.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

const std::vector<AddedToken>& tokens() {
  static const std::vector<AddedToken> all = {
      {.content = "ab", .id = 1}, {.content = "bcd", .id = 2}, {.content = "<s>", .id = 3, .strip_right = true},
      {.content = "  ", .id = 4}, {.content = "xy", .id = 5},  {.content = "yx", .id = 6}};
  return all;
}

// "[token]" for a token with what it swallowed, else the text.
std::vector<std::string> parts(std::string_view text, std::span<const ByteRange> literal = {}) {
  std::vector<std::string> all;
  for (const TextPart& part : LongestFirstScanner(tokens()).scan(text, literal)) {
    const std::string bytes(text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin));
    all.push_back(part.token == nullptr ? bytes : "[" + bytes + "]");
  }
  return all;
}

TEST(LongestFirst, ALongerTokenFurtherRightWins) {
  EXPECT_THAT(parts("abcd"), ElementsAre("a", "[bcd]"));
  EXPECT_THAT(parts("abxabcdab"), ElementsAre("[ab]", "xa", "[bcd]", "[ab]"));
}

TEST(LongestFirst, OfOneTokensPlacesTheLeftmostCounts) {
  EXPECT_THAT(parts("   "), ElementsAre("[  ]", " "));
  EXPECT_THAT(parts(""), ElementsAre());
}

TEST(LongestFirst, OfTokensOfOneLengthTheLowerIdCounts) {
  EXPECT_THAT(parts("yxy"), ElementsAre("y", "[xy]"));
  EXPECT_THAT(parts("xyx"), ElementsAre("[xy]", "x"));
}

TEST(LongestFirst, SwallowsAsciiWhiteSpaceAsFarAsTheNextToken) {
  EXPECT_THAT(parts("<s> \n\t\v\f\rab"), ElementsAre("[<s> \n\t\v\f\r]", "[ab]"));
  EXPECT_THAT(parts("<s>\u3000a"), ElementsAre("[<s>]", "\u3000a"));
  // The longer token came first, so the spaces behind it are gone before their own token is looked for.
  EXPECT_THAT(parts("<s>   "), ElementsAre("[<s>   ]"));
}

TEST(LongestFirst, TouchesNoLiteralRange) {
  const std::vector<ByteRange> literal = {{2, 3}};
  EXPECT_THAT(parts("abcd", literal), ElementsAre("[ab]", "cd"));
}

}  // namespace
}  // namespace nkat::data
