#include "export/gguf/cut_otherwise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/text/words/byte_alphabet.h"
#include "data/text/words/split_expression.h"

namespace nkat::exporting {
namespace {

using data::AddedToken;
using data::SpaceRule;
using data::TokenizerModel;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TokenizerModel byte_level() {
  TokenizerModel model;
  model.kind = data::VocabularyKind::kByteLevel;
  for (const std::string& byte : data::byte_alphabet()) model.pieces.push_back({byte});
  model.split_steps.push_back({.expression = std::string(data::kGpt2Expression)});
  return model;
}

// Pieces a b c ab bc abc with merges as given, by place.
TokenizerModel fallback(std::vector<data::Merge> merges) {
  TokenizerModel model;
  for (const char* text : {"a", "b", "c", "ab", "bc", "abc"}) model.pieces.push_back({text});
  model.merges = std::move(merges);
  return model;
}

TEST(CutOtherwise, OfGpt2sExpressionOnlyNewCharactersAre) {
  EXPECT_THAT(cut_otherwise(byte_level(), "gpt-2"), ElementsAre("characters that Unicode 16 added"));
}

TEST(CutOtherwise, NamesWhatAnExpressionHolds) {
  TokenizerModel model = byte_level();
  model.nfc = true;
  model.pieces.pop_back();
  model.split_steps[0].expression = R"([\p{Lu}](?i:'s)|[ࠀ-一])";
  EXPECT_THAT(cut_otherwise(model, "gpt-4o"),
              ElementsAre("text that is not in Unicode's normalization form C", "characters that Unicode 16 added",
                          "characters of whose bytes some are no piece",
                          "capitals, small letters and combining marks beyond ASCII", "an apostrophe before U+017F",
                          "white space beyond ASCII beside ideographs"));
}

TEST(CutOtherwise, NamesWordsWhoseMergesLlamaCppIgnores) {
  const char* kKind = "words that are a piece but that no merges make";
  EXPECT_THAT(cut_otherwise(byte_level(), "llama-bpe"), Contains(kKind));
  EXPECT_THAT(cut_otherwise(byte_level(), "gpt-2"), Not(Contains(kKind)));
}

TEST(CutOtherwise, NamesAddedTokensThatLlamaCppFindsOtherwise) {
  TokenizerModel model = byte_level();
  model.added_tokens = {{.content = "<a>", .id = 300}, {.content = "<b>", .id = 301}};
  EXPECT_THAT(cut_otherwise(model, "gpt-2"), ElementsAre("characters that Unicode 16 added"));
  model.added_tokens.push_back({.content = "><", .id = 302, .single_word = true});
  EXPECT_THAT(cut_otherwise(model, "gpt-2"),
              ElementsAre("characters that Unicode 16 added",
                          "added tokens that count as whole words only (single_word)", "added tokens that overlap"));
}

TEST(CutOtherwise, OfALlamaVocabularyNothingIsIfItsMergesAreScores) {
  EXPECT_THAT(cut_otherwise(fallback({{0, 1}, {1, 2}, {0, 4}, {3, 2}}), "default"), IsEmpty());
  EXPECT_THAT(cut_otherwise(fallback({{0, 1}, {1, 2}, {0, 4}}), "default"),
              ElementsAre("words whose merges no score puts into this order"));
}

TEST(CutOtherwise, ScoresAreOneAPieceAndForEveryWayToMakeIt) {
  EXPECT_TRUE(merges_have_scores(fallback({{0, 1}, {1, 2}, {0, 4}, {3, 2}})));
  EXPECT_FALSE(merges_have_scores(fallback({{0, 1}, {0, 4}, {1, 2}, {3, 2}}))) << "abc before and behind bc";
  EXPECT_FALSE(merges_have_scores(fallback({{0, 1}, {1, 2}, {3, 2}}))) << "a and bc make abc too";
  EXPECT_FALSE(merges_have_scores(fallback({{0, 0}}))) << "aa is no piece";
}

TEST(CutOtherwise, NamesTheRulesForSpacesThatLlamaCppDoesNotHave) {
  TokenizerModel model = fallback({{0, 1}, {1, 2}, {0, 4}, {3, 2}});
  model.spaces = {.prefix = SpaceRule::Prefix::kFirst, .metaspace = true, .split = true};
  EXPECT_THAT(cut_otherwise(model, "default"),
              ElementsAre("text behind an added token", "text that begins with a space", "several spaces in a row"));
  model.spaces = {.prefix = SpaceRule::Prefix::kNever, .metaspace = true};
  EXPECT_THAT(cut_otherwise(model, "default"), IsEmpty());
}

}  // namespace
}  // namespace nkat::exporting
