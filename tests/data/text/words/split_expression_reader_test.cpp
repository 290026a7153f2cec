#include "data/text/words/split_expression_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

std::string complaint(std::string_view expression) {
  return nkat::testing::message_of<FormatError>([&] { read_split_expression(expression, "t.json"); });
}

TEST(SplitExpressionReader, GivesOneByteToTheCharactersThatNoClassTellsApart) {
  const ByteExpression read = read_split_expression(R"(\p{Lu}|[\u3042-\u3044]|é)", "t");
  EXPECT_EQ(read.bytes[U'a'], 'a');
  EXPECT_EQ(read.bytes[U'Ä'], read.bytes[U'Ж']);
  EXPECT_NE(read.bytes[U'Ä'], read.bytes[U'ä']);
  EXPECT_EQ(read.bytes[U'ä'], read.bytes[U'漢']);
  EXPECT_EQ(read.bytes[U'あ'], read.bytes[U'い']);
  EXPECT_NE(read.bytes[U'あ'], read.bytes[U'う']);
  EXPECT_NE(read.bytes[U'é'], read.bytes[U'ä']);
}

TEST(SplitExpressionReader, RefusesByNameWhatItDoesNotKnow) {
  const struct {
    const char* expression;
    const char* message;
  } cases[] = {
      {R"(\w+)", R"('\w+' at byte 0 is not known)"},
      {R"(a\b)", R"('\b' at byte 1)"},
      {R"((a)\1)", R"('\1' at byte 3)"},
      {R"(\p{Han})", R"('\p{Han}' at byte 0)"},
      {R"(\p{L)", R"('\p{L' at byte 0)"},
      {"(?m:a)", "'(?m:a)' at byte 0"},
      {"(?<name>a)", "'(?<name>a)' at byte 0"},
      {"(*LIMIT_MATCH=1)", "a repeat of nothing"},
      {"a**", "a repeat of nothing"},
      {"a{2}?", "'{2}?' at byte 1"},
      {"(a", "a group is not closed"},
      {"a)", "')' without '('"},
      {"[a", "it ends too early"},
      {"[]a]", "']a]' at byte 1"},
      {"[[:alpha:]]", "':alpha:]]' at byte 2"},
      {"[z-a]", "'z-a]' at byte 1"},
      {R"([a-\d])", R"('\d]' at byte 3)"},
      {R"(\x{110000})", R"('\x{110000}' at byte 0)"},
      {R"(\)", "it ends too early"},
      {"(?i:é)", "(?i) around a character beyond ASCII"},
      {R"((?i:\s))", "(?i) around a class beyond ASCII"},
      {"(?i:oss)", "(?i) around 'ss'"},
      {"a\xFF", "it is not UTF-8"},
  };
  for (const auto& one : cases) EXPECT_THAT(complaint(one.expression), HasSubstr(one.message)) << one.expression;
  EXPECT_THAT(complaint(std::string(70'000, 'a')), HasSubstr("longer than 65536 bytes"));
  EXPECT_THAT(complaint(std::string(100, '(')), HasSubstr("deeper than 64"));
  EXPECT_THAT(complaint(std::string(100, '[')), HasSubstr("deeper than 64"));
  std::string sets;
  for (int i = 0; i < 65; ++i) sets += fmt::format("\\u30{:02x}", i);
  EXPECT_THAT(complaint(sets), HasSubstr("more than 64 classes"));
}

TEST(SplitExpressionReader, QuotesEveryMark) {
  EXPECT_EQ(quote_for_expression("a.b*\u3042"), "a\\.b\\*\u3042");
  EXPECT_EQ(complaint(quote_for_expression("()[]{}|\\^$*+?.-&& \n")), "");
}

TEST(SplitExpressionReader, SurvivesMutations) {
  const nkat::testing::Reader read = [](const std::string& text) { read_split_expression(text, "t"); };
  const auto counts = nkat::testing::survive_mutations(
      read, R"((?i:'s|'re)|[^\r\n\p{L}\p{N}]?[\p{Lu}[a-z&&[^x]]]+|\p{N}{1,3}| ?[^\s]++|\s+(?!\S)|\x{3042}+?)", 500);
  EXPECT_EQ(counts.tried, 500);
}

}  // namespace
}  // namespace nkat::data
