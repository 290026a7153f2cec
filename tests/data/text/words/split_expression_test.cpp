#include "data/text/words/split_expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/utf8.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The matches, by their text.
std::vector<std::string> matches(std::string_view expression, const std::string& text) {
  const SplitExpression search(expression, "t");
  SearchBudget budget = SearchBudget::for_text(text.size());
  std::string bytes;
  search.to_bytes(text, bytes);
  std::vector<std::string> characters;
  for (std::size_t at = 0; at < text.size(); at += characters.back().size())
    characters.push_back(text.substr(at, decode_code_point(text, at).length));
  EXPECT_EQ(bytes.size(), characters.size());
  std::vector<std::string> found;
  for (std::size_t from = 0; from <= bytes.size();) {
    const auto match = search.find(bytes, from, budget);
    if (!match) break;
    found.emplace_back();
    for (std::size_t i = match->begin; i < match->end; ++i) found.back() += characters[i];
    from = std::max(match->end, match->begin + 1);
  }
  return found;
}

TEST(SplitExpression, CutsAsGpt2Does) {
  EXPECT_THAT(matches(kGpt2Expression, "I've  12 caf\u00e9s\u3000\u6771\u4eac!!\n\n x"),
              ElementsAre("I", "'ve", " ", " 12", " caf\u00e9s", "\u3000", "\u6771\u4eac", "!!", "\n\n", " x"));
}

TEST(SplitExpression, KnowsTheClassesOfTokenizersUnicode) {
  // U+180E is no white space any more; U+1C89 came with Unicode 16.
  EXPECT_THAT(matches(R"(\s+)", "\u180e\u0085\u3000"), ElementsAre("\u0085\u3000"));
  EXPECT_THAT(matches(R"(\p{Lu}+)", "\u1c89\u1c8a"), ElementsAre("\u1c89"));
  EXPECT_THAT(matches(R"(\P{L}+|\p{^N})", "a1"), ElementsAre("a", "1"));
}

TEST(SplitExpression, ReadsSetsAsOniguruma) {
  EXPECT_THAT(matches(R"([a-z&&[^aeiou]]+)", "streets"), ElementsAre("str", "ts"));
  EXPECT_THAT(matches(R"([^a-c\-\]]+)", "x-ab]y"), ElementsAre("x", "y"));
  EXPECT_THAT(matches(R"([:,-]+)", "a:-,"), ElementsAre(":-,"));
  EXPECT_THAT(matches("[\u4e00-\u9fa5\u3040-\u309f]+", "a\u6771\u3042\u30a2"), ElementsAre("\u6771\u3042"));
}

TEST(SplitExpression, RepeatsAsRubyDoes) {
  EXPECT_THAT(matches("a{1,2}", "aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(matches("a{,2}b", "aab"), ElementsAre("aab"));
  EXPECT_THAT(matches("a{1,2}+", "aaa"), ElementsAre("aaa"));  // not possessive: repeated once more
  EXPECT_THAT(matches("a{1,2}?", "aa"), ElementsAre("a", "a"));
  EXPECT_THAT(matches("a++b|a", "aab"), ElementsAre("aab"));
  EXPECT_THAT(matches("{x}", "{x}"), ElementsAre("{x}"));
  EXPECT_THAT(matches("^a$", "a\nb\na"), ElementsAre("a", "a"));
  EXPECT_THAT(matches(".+", "a\rb\nc"), ElementsAre("a\rb", "c"));
}

TEST(SplitExpression, IgnoresCaseOfAsciiAndOfWhatEqualsIt) {
  EXPECT_THAT(matches("(?i:'s|'ll|k)", "'S '\u017f 'lL \u212a"), ElementsAre("'S", "'\u017f", "'lL", "\u212a"));
  EXPECT_THAT(matches("(?i:a)b", "Ab AB"), ElementsAre("Ab"));
}

TEST(SplitExpression, CutsWhereItMatchesNothing) {
  EXPECT_THAT(matches(R"((?=(\d{3})+(?!\d)))", "1234567"), ElementsAre("", ""));
}

TEST(SplitExpression, GivesUpOnATextThatTakesForever) {
  EXPECT_EQ(
      nkat::testing::message_of<DataError>([] { matches("(a|a|aa)+[bc]", std::string(100, 'a')); }),
      "t: the expression '(a|a|aa)+[bc]' needs too many steps to cut a text of 100 characters; shorter texts may do");
  EXPECT_THAT(
      nkat::testing::message_of<DataError>([] { matches(R"((?:(?=\p{L})[^b])*)", std::string(3'000'000, 'a')); }),
      HasSubstr("needs too much memory"));
  EXPECT_THROW(matches("(?<=a+)b", "ab"), FormatError);  // PCRE2 refuses what Oniguruma does too
}

TEST(SplitExpression, GivesUpOnATextThatIsLookedAtAgainFromEveryCharacter) {
  // No x is found from any a: 2 * 10^10 characters to look at, in no search that PCRE2 itself would end.
  const SplitExpression search("(?=[^x]*+x)a", "t");
  const std::string text(200'000, 'a');
  SearchBudget budget(0.1);
  EXPECT_THAT(nkat::testing::message_of<DataError>([&] { search.find(text, 0, budget); }),
              HasSubstr("needs too much time to cut a text of 200000 characters"));
}

TEST(SplitExpression, FindsAMatchFarBehind) {
  const std::string text = std::string(100'000, 'a') + "b" + std::string(1000, 'a');
  EXPECT_THAT(matches("b", text), ElementsAre("b"));
  EXPECT_THAT(matches("(?<=^a{300})a", text), ElementsAre("a"));
}

}  // namespace
}  // namespace nkat::data
