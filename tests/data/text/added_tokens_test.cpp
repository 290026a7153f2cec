#include "data/text/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using nkat::testing::added_token_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AddedTokensTest : public ::testing::Test {
 protected:
  std::string complaint(const char* file, const std::string& bytes) {
    return nkat::testing::complaint_about(
        [&](const std::string& text) {
          folder_.write(file, text);
          read_added_tokens(folder_.path());
        },
        bytes);
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(AddedTokensTest, PrefersTokenizerJsonThenTheConfigThenTheIdMap) {
  folder_.write("added_tokens.json", R"({"<|c|>":7})");
  EXPECT_EQ(read_added_tokens(folder_.path()).at(0).content, "<|c|>");
  folder_.write("tokenizer_config.json", R"({"added_tokens_decoder":{"6":)" + added_token_json("<|b|>", true) + "}}");
  EXPECT_EQ(read_added_tokens(folder_.path()).at(0).content, "<|b|>");
  folder_.write("tokenizer.json", R"({"added_tokens":[{"id":5,"content":"<|a|>","rstrip":true,"special":true}]})");
  const std::vector<AddedToken> tokens = read_added_tokens(folder_.path());
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].id, 5);
  EXPECT_TRUE(tokens[0].strip_right);
  EXPECT_TRUE(tokens[0].special);
  EXPECT_FALSE(tokens[0].strip_left);
}

TEST_F(AddedTokensTest, RefusesEachCorruptionByName) {
  const auto json = [](const std::string& tokens) { return R"({"added_tokens":[)" + tokens + "]}"; };
  const auto decoder = [](const std::string& tokens) { return R"({"added_tokens_decoder":{)" + tokens + "}}"; };
  const struct {
    const char* name;
    const char* file;
    std::string bytes;
    const char* message;
  } corruptions[] = {
      {"Empty", "tokenizer.json", "", "not valid JSON"},
      {"Cut", "tokenizer.json", R"({"added_tokens":[{)", "not valid JSON"},
      {"TokensAreText", "tokenizer.json", R"({"added_tokens":"x"})", "expected a list"},
      {"TokenIsNumber", "tokenizer.json", json("5"), "no integer 'id'"},
      {"NoId", "tokenizer.json", json(R"({"content":"a"})"), "no integer 'id'"},
      {"IdIsText", "tokenizer.json", json(R"({"id":"5","content":"a"})"), "no integer 'id'"},
      {"NegativeId", "tokenizer.json", json(R"({"id":-1,"content":"a"})"),
       "expected an id from 0 to 16777215, found -1"},
      {"HugeId", "tokenizer.json", json(R"({"id":16777216,"content":"a"})"),
       "expected an id from 0 to 16777215, found 16777216"},
      {"NoContent", "tokenizer.json", json(R"({"id":5})"), "expected an object with a string 'content'"},
      {"ContentIsNumber", "tokenizer.json", json(R"({"id":5,"content":6})"),
       "expected an object with a string 'content'"},
      {"EmptyContent", "tokenizer.json", json(R"({"id":5,"content":""})"), "expected 1 to 65536 bytes, found 0"},
      {"LongContent", "tokenizer.json", json(R"({"id":5,"content":")" + std::string(65'537, 'a') + "\"}"),
       "expected 1 to 65536 bytes, found 65537"},
      {"SameId", "tokenizer.json", json(R"({"id":5,"content":"a"},{"id":5,"content":"b"})"), "duplicate text or id"},
      {"SameContent", "tokenizer.json", json(R"({"id":5,"content":"a"},{"id":6,"content":"a"})"),
       "duplicate text or id"},
      {"ContentNotUtf8", "tokenizer.json", json("{\"id\":5,\"content\":\"\xFF\"}"), "not valid JSON"},
      {"DecoderIsList", "tokenizer_config.json", R"({"added_tokens_decoder":[]})", "expected an object"},
      {"DecoderIdIsWord", "tokenizer_config.json", decoder(R"("x":)" + added_token_json("a", true)), "'x' is no id"},
      {"DecoderIdHasTail", "tokenizer_config.json", decoder(R"("5x":)" + added_token_json("a", true)), "'5x' is no id"},
      {"DecoderTokenIsText", "tokenizer_config.json", decoder(R"("5":"a")"),
       "expected an object with a string 'content'"},
      {"MapIsList", "added_tokens.json", "[]", "expected an object from strings to ids"},
      {"MapIdIsText", "added_tokens.json", R"({"a":"5"})", "no integer id"},
      {"MapIdIsFraction", "added_tokens.json", R"({"a":5.5})", "no integer id"},
  };
  for (const auto& one : corruptions) {
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "added_tokens.json"})
      fs::remove(folder_.path() / file);
    EXPECT_THAT(complaint(one.file, one.bytes), HasSubstr(one.message)) << one.name;
  }
}

TEST_F(AddedTokensTest, SurvivesDamagedFiles) {
  const std::string file = R"({"added_tokens":[{"id":5,"content":"<|a|>","rstrip":true,"special":true}]})";
  const nkat::testing::Reader read = [this](const std::string& bytes) {
    folder_.write("tokenizer.json", bytes);
    read_added_tokens(folder_.path());
  };
  EXPECT_EQ(nkat::testing::refused_truncations(read, file), static_cast<int>(file.size()));
  EXPECT_GT(nkat::testing::refused_bit_flips(read, file), 100);
}

std::vector<std::string> scan(const std::vector<AddedToken>& tokens, std::string_view text,
                              std::vector<ByteRange> literal = {}) {
  std::vector<std::string> parts;
  for (const TextPart& part : AddedTokenScanner(tokens, false).scan(text, literal)) {
    const std::string bytes(text.substr(part.bytes.begin, part.bytes.end - part.bytes.begin));
    parts.push_back(part.token == nullptr ? bytes : "[" + bytes + "]");
  }
  return parts;
}

TEST(AddedTokenScanner, TakesTheLeftmostAndLongest) {
  const std::vector<AddedToken> tokens = {{"ab", 1}, {"abc", 2}, {"bcd", 3}};
  EXPECT_THAT(scan(tokens, "xabcdx"), ElementsAre("x", "[abc]", "dx"));
  EXPECT_THAT(scan(tokens, "abd"), ElementsAre("[ab]", "d"));
  EXPECT_THAT(scan(tokens, "AB"), ElementsAre("AB"));
  EXPECT_TRUE(scan(tokens, "").empty());
}

TEST(AddedTokenScanner, StripsOnTheSidesThatATokenNames) {
  const std::vector<AddedToken> tokens = {{.content = "<l>", .id = 1, .strip_left = true},
                                          {.content = "<r>", .id = 2, .strip_right = true}};
  EXPECT_THAT(scan(tokens, "a \u3000<l> b"), ElementsAre("a", "[ \u3000<l>]", " b"));
  EXPECT_THAT(scan(tokens, "a <r>\u2028\n b"), ElementsAre("a ", "[<r>\u2028\n ]", "b"));
  EXPECT_THAT(scan(tokens, "<r> <l>"), ElementsAre("[<r> ]", "[<l>]"));
}

TEST(AddedTokenScanner, FindsSingleWordsWhereNoWordTouchesThem) {
  const std::vector<AddedToken> tokens = {{.content = "word", .id = 1, .single_word = true}};
  for (const char* touched :
       {"words", "aword", "word_", "word9", "\u3042word", "word\u0301", "\u24d0word", "word\u200d"})
    EXPECT_THAT(scan(tokens, touched), ElementsAre(touched)) << touched;
  EXPECT_THAT(scan(tokens, "word word-wordword"), ElementsAre("[word]", " ", "[word]", "-wordword"));
}

TEST(AddedTokenScanner, FindsATokenInTheWhiteSpaceThatAnotherSwallowed) {
  const std::vector<AddedToken> tokens = {{.content = "<r>", .id = 1, .strip_right = true}, {.content = "\n", .id = 2}};
  EXPECT_THAT(scan(tokens, "<r>\n\na"), ElementsAre("[<r>\n\n]", "[\n]", "[\n]", "a"));
}

TEST(AddedTokenScanner, FallsBackToAShorterTokenWhereALiteralRangeForbidsTheLonger) {
  const std::vector<AddedToken> tokens = {{"ab", 1}, {"abc", 2}};
  EXPECT_THAT(scan(tokens, "abc", {{2, 3}}), ElementsAre("[ab]", "c"));
  EXPECT_THAT(scan(tokens, "abc", {{0, 3}}), ElementsAre("abc"));
  EXPECT_THAT(scan(tokens, "abab", {{0, 2}}), ElementsAre("ab", "[ab]"));
}

}  // namespace
}  // namespace nkat::data
