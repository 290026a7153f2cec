#include "data/text/tokenizer_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/text/words/split_expression.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kByteLevel = R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";

TokenizerModel read(const std::string& keys, VocabularyKind kind = VocabularyKind::kByteLevel) {
  TokenizerModel model;
  model.source = "t.json";
  model.kind = kind;
  read_tokenizer_steps(nlohmann::json::parse("{" + keys + "}"), model);
  return model;
}
TokenizerModel read_fallback(const std::string& keys) { return read(keys, VocabularyKind::kByteFallback); }

std::string steps_complaint(const std::string& keys, VocabularyKind kind = VocabularyKind::kByteLevel) {
  return nkat::testing::message_of<FormatError>([&] { read(keys, kind); });
}

TEST(TokenizerSteps, ReadTheWaysInWhichSpacesAreMarked) {
  const TokenizerModel legacy = read_fallback(
      R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
         "decoder":{"type":"Sequence","decoders":[{"type":"Replace"},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip"}]})");
  EXPECT_EQ(legacy.spaces.prefix, SpaceRule::Prefix::kAlways);
  EXPECT_FALSE(legacy.spaces.metaspace);
  EXPECT_TRUE(legacy.strip_leading_space);
  const struct {
    const char* keys;
    SpaceRule::Prefix prefix;
    bool split;
  } cases[] = {
      {R"("prepend_scheme":"first","split":false)", SpaceRule::Prefix::kFirst, false},
      {R"("prepend_scheme":"never")", SpaceRule::Prefix::kNever, true},
      {R"("prepend_scheme":"always")", SpaceRule::Prefix::kAlways, true},
      {R"("add_prefix_space":false)", SpaceRule::Prefix::kNever, true},
      {R"("add_prefix_space":true)", SpaceRule::Prefix::kAlways, true},
  };
  for (const auto& one : cases) {
    const TokenizerModel model =
        read_fallback(std::string(R"("pre_tokenizer":{"type":"Metaspace","replacement":"▁",)") + one.keys + "}");
    EXPECT_TRUE(model.spaces.metaspace);
    EXPECT_EQ(model.spaces.prefix, one.prefix) << one.keys;
    EXPECT_EQ(model.spaces.split, one.split) << one.keys;
  }
}

TEST(TokenizerSteps, ReadTheStepsOfByteLevelTokenizers) {
  const TokenizerModel model = read(
      R"("normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
         {"type":"Split","pattern":{"Regex":"\\s+"},"behavior":"Removed","invert":false},
         {"type":"Split","pattern":{"String":"a.b"},"behavior":"Removed","invert":true},
         {"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":true}]})");
  EXPECT_TRUE(model.nfc);
  ASSERT_EQ(model.split_steps.size(), 4u);
  EXPECT_EQ(model.split_steps[0].expression, "\\s+");
  EXPECT_FALSE(model.split_steps[0].keep_matches);
  EXPECT_EQ(model.split_steps[1].expression, "a\\.b");
  EXPECT_TRUE(model.split_steps[1].keep_matches);
  EXPECT_FALSE(model.split_steps[1].keep_gaps);
  EXPECT_TRUE(model.split_steps[2].keep_matches && model.split_steps[2].keep_gaps);
  EXPECT_EQ(model.split_steps[3].expression, kGpt2Expression);
  EXPECT_TRUE(model.split_steps[3].prefix_space);
}

TEST(TokenizerSteps, ReadWhatStandsAroundAText) {
  const TokenizerModel model =
      read(kByteLevel + R"(,"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},
      {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<a>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
       {"SpecialToken":{"id":"<b>","type_id":0}}],"special_tokens":{"<a>":{"ids":[7,8]},"<b>":{"ids":[9]}}}]})");
  EXPECT_THAT(model.begin_tokens, ElementsAre(7, 8));
  EXPECT_THAT(model.end_tokens, ElementsAre(9));
}

TEST(TokenizerSteps, RefuseOthersByName) {
  const auto pre = [](const std::string& steps) {
    return R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[)" + steps + "]}";
  };
  const std::string last = R"({"type":"ByteLevel"})";
  const struct {
    std::string keys;
    const char* message;
  } cases[] = {
      {R"("normalizer":{"type":"Lowercase"},)" + kByteLevel, R"(normalizer: expected NFC, Prepend)"},
      {R"("normalizer":{"type":"Sequence"},)" + kByteLevel, "a Sequence with a list 'normalizers'"},
      {R"("normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},)" + kByteLevel, "spaces that stay"},
      {"", "byte_fallback in the model or ByteLevel in the pre_tokenizer, found neither"},
      {pre(R"({"type":"Whitespace"},)" + last), R"(found {"type":"Whitespace"})"},
      {pre(last + "," + R"({"type":"Digits"})"), "ByteLevel as the last step"},
      {pre(R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"MergedWithNext"},)" + last),
       "found \"MergedWithNext\""},
      {pre(R"({"type":"Split","pattern":"a","behavior":"Isolated"},)" + last), "a pattern Regex or String"},
      {pre(R"({"type":"Split","pattern":{"Regex":""},"behavior":"Isolated"},)" + last), "that is not empty"},
      {pre(R"({"type":"Digits","individual_digits":1},)" + last), "true or false for 'individual_digits'"},
      {kByteLevel + R"(,"post_processor":{"type":"BertProcessing"})", "post_processor: expected ByteLevel"},
      {kByteLevel + R"(,"post_processor":{"type":"TemplateProcessing"})", "a list 'single'"},
      {kByteLevel + R"(,"post_processor":{"type":"TemplateProcessing","single":[]})", "around one Sequence"},
      {kByteLevel +
           R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{}}]})",
       "the ids of each"},
      {kByteLevel + R"(,"decoder":{"type":"WordPiece"})", "decoder: expected ByteLevel"},
  };
  for (const auto& one : cases) EXPECT_THAT(steps_complaint(one.keys), HasSubstr(one.message)) << one.keys;
  for (const char* keys : {"", R"("pre_tokenizer":{"type":"Metaspace","replacement":"_"})",
                           R"("pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"})",
                           R"("normalizer":{"type":"Prepend","prepend":"▁"})", R"("pre_tokenizer":{"type":"Digits"})"})
    EXPECT_NE(steps_complaint(keys, VocabularyKind::kByteFallback), "") << keys;
}

}  // namespace
}  // namespace nkat::data
