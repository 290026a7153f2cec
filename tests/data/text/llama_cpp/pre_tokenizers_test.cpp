#include "data/text/llama_cpp/pre_tokenizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/text/words/split_expression.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

// The words of an ASCII or mixed text under a name, each step on the words of the one before it.
std::vector<std::string> words(std::string_view name, const std::string& text) {
  std::vector<std::string> all = {text};
  for (const SplitStep& step : split_steps(*find_pre_tokenizer(name))) {
    const SplitExpression expression(step.expression, "test");
    std::vector<std::string> cut;
    for (const std::string& word : all) {
      std::vector<std::size_t> ends;  // of each character
      for (std::size_t i = 1; i <= word.size(); ++i) {
        if (i == word.size() || (static_cast<unsigned char>(word[i]) & 0xC0) != 0x80) ends.push_back(i);
      }
      const auto put = [&](std::size_t from, std::size_t to) {
        if (from < to)
          cut.push_back(word.substr(from == 0 ? 0 : ends[from - 1], ends[to - 1] - (from == 0 ? 0 : ends[from - 1])));
      };
      SearchBudget budget = SearchBudget::for_text(word.size());
      std::string bytes;
      expression.to_bytes(word, bytes);
      std::size_t from = 0;
      while (const auto match = expression.find(bytes, from, budget)) {
        put(from, match->begin);
        put(match->begin, match->end);
        from = match->end;
        if (match->begin == match->end) break;
      }
      put(from, ends.size());
    }
    all = cut;
  }
  return all;
}

TEST(PreTokenizers, AreFoundByName) {
  EXPECT_EQ(pre_tokenizers().size(), 13u);
  EXPECT_EQ(find_pre_tokenizer("mpt"), nullptr);
  for (const char* name : {"llama-bpe", "tekken"}) {
    EXPECT_TRUE(find_pre_tokenizer(name)->ignore_merges) << name;
    EXPECT_TRUE(find_pre_tokenizer(name)->add_begin_token) << name;
  }
  EXPECT_FALSE(find_pre_tokenizer("gpt-4o")->ignore_merges);
}

TEST(PreTokenizers, CutAsTheirExpressionsSay) {
  EXPECT_THAT(words("gpt-2", "I'll say 123  x"), ElementsAre("I", "'ll", " say", " 123", " ", " x"));
  EXPECT_THAT(words("smollm", "a 123"), ElementsAre("a", " ", "1", "2", "3"));
  EXPECT_THAT(words("llama-bpe", "I'LL 12345\n\nx"), ElementsAre("I", "'LL", " ", "123", "45", "\n\n", "x"));
  EXPECT_THAT(words("qwen2", "12.a"), ElementsAre("1", "2", ".a"));
  EXPECT_THAT(words("gpt-4o", "camelCase's"), ElementsAre("camel", "Case's"));
  EXPECT_THAT(words("falcon", "a$12345"), ElementsAre("a", "$", "123", "45"));
  EXPECT_THAT(words("default", "a1234!"), ElementsAre("a", "123", "4", "!"));
  EXPECT_THAT(words("deepseek-coder", "x\u4E2D\u65871\n"), ElementsAre("x", "\u4E2D\u6587", "1", "\n"));
}

// To llama.cpp they are neither capital nor small.
TEST(PreTokenizers, LettersBeyondAsciiHaveNoCase) {
  EXPECT_THAT(words("gpt-4o", "\u00E9\u00C9"), ElementsAre("\u00E9\u00C9"));
  EXPECT_THAT(words("tekken", "eE"), ElementsAre("e", "E"));
}

TEST(PreTokenizers, AWordOfMillionsOfLettersStaysOne) {
  for (const char* name : {"gpt-4o", "tekken"}) {
    for (const char letter : {'a', 'A'}) EXPECT_EQ(words(name, std::string(3'000'000, letter)).size(), 1u) << name;
  }
}

TEST(PreTokenizers, ACharacterOfUnicode16IsNoLetter) {
  EXPECT_THAT(words("gpt-2", "a\U00010D4A"), ElementsAre("a", "\U00010D4A"));
  EXPECT_THAT(words("gpt-2", "a\u00E9"), ElementsAre("a\u00E9"));
}

// Its \s is all white space, its ranges hold none beyond ASCII.
TEST(PreTokenizers, DeepseeksRangesHoldNoWhiteSpace) {
  EXPECT_THAT(words("deepseek-llm", "\u4E2D\u3000\u6587"), ElementsAre("\u4E2D", "\u3000", "\u6587"));
}

}  // namespace
}  // namespace nkat::data
