#include "data/text/words/stretch_encoder.h"

#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/text/words/byte_alphabet.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;

// Ids 0 to 255 are the bytes, "th" 256, "the" 257.
TokenizerModel byte_level() {
  TokenizerModel model;
  model.source = "t";
  model.kind = VocabularyKind::kByteLevel;
  for (const std::string& text : byte_alphabet()) model.pieces.push_back({text});
  model.pieces.push_back({"th"});
  model.pieces.push_back({"the"});
  model.merges = {{'t', 'h'}, {256, 'e'}};
  return model;
}

// U+2581 0, "a" 1, U+2581 "a" 2, then the bytes.
TokenizerModel fallback(SpaceRule spaces) {
  TokenizerModel model;
  model.source = "t";
  model.pieces = {{"\u2581"}, {"a"}, {"\u2581a"}};
  for (int byte = 0; byte < 256; ++byte) model.pieces.push_back({fmt::format("<0x{:02X}>", byte), 0, PieceType::kByte});
  model.merges = {{0, 1}};
  model.spaces = spaces;
  return model;
}
std::int32_t byte_id(unsigned char byte) { return 3 + byte; }

std::vector<TokenSpan> spans(const TokenizerModel& model, std::string_view text, std::size_t begin = 0) {
  const StretchEncoder encoder(model);
  std::vector<TokenSpan> result;
  encoder.encode(text, {begin, text.size()}, false, result);
  return result;
}
std::vector<std::int32_t> ids(const TokenizerModel& model, std::string_view text, std::size_t begin = 0) {
  std::vector<std::int32_t> result;
  for (const TokenSpan& span : spans(model, text, begin)) result.push_back(span.id);
  return result;
}
// The original text of each token.
std::vector<std::string> originals(const TokenizerModel& model, const std::string& text, std::size_t begin = 0) {
  std::vector<std::string> result;
  for (const TokenSpan& span : spans(model, text, begin))
    result.push_back(text.substr(span.bytes.begin, span.bytes.end - span.bytes.begin));
  return result;
}

TEST(StretchEncoder, CutsWordsByItsStepsBeforeItMerges) {
  TokenizerModel model = byte_level();
  EXPECT_THAT(ids(model, "the"), ElementsAre(257));
  model.split_steps = {{.expression = "h"}};
  EXPECT_THAT(ids(model, "the"), ElementsAre('t', 'h', 'e'));
  model.split_steps = {{.expression = "h", .keep_matches = false}};
  EXPECT_THAT(ids(model, "the"), ElementsAre('t', 'e'));
  EXPECT_THAT(originals(model, "the"), ElementsAre("t", "e"));
  model.split_steps = {{.expression = "h", .keep_gaps = false}};
  EXPECT_THAT(ids(model, "the"), ElementsAre('h'));
  model.split_steps = {{.expression = "x"}, {.expression = "the"}};
  EXPECT_THAT(ids(model, "xthet"), ElementsAre('x', 257, 't'));
}

TEST(StretchEncoder, PutsASpaceInFrontOfEachWordThatTheStepsBeforeLeft) {
  TokenizerModel model = byte_level();
  model.split_steps = {{.expression = "x"}, {.expression = "", .prefix_space = true}};
  EXPECT_THAT(ids(model, "axa"), ElementsAre(' ', 'a', ' ', 'x', ' ', 'a'));
  EXPECT_THAT(originals(model, "axa"), ElementsAre("a", "a", "x", "x", "a", "a"));
  EXPECT_THAT(ids(model, " a"), ElementsAre(' ', 'a'));
}

TEST(StretchEncoder, GivesEachTokenItsBytesOfTheOriginal) {
  TokenizerModel model = byte_level();
  model.nfc = true;
  EXPECT_THAT(originals(model, "..thee\u0301z", 2), ElementsAre("the", "e\u0301", "e\u0301", "z"));
  EXPECT_THAT(originals(model, "\u6771"), ElementsAre("\xE6", "\x9D", "\xB1"));
}

TEST(StretchEncoder, MarksSpacesAsTheNormalizersDo) {
  const TokenizerModel model = fallback({.prefix = SpaceRule::Prefix::kAlways});
  EXPECT_THAT(ids(model, "a a"), ElementsAre(2, 2));
  EXPECT_THAT(ids(model, " a"), ElementsAre(0, 2));
  EXPECT_THAT(ids(model, "xa", 1), ElementsAre(2));
  EXPECT_THAT(ids(model, "z"), ElementsAre(0, byte_id('z')));
  EXPECT_THAT(originals(model, "za a"), ElementsAre("z", "z", "a", " a"));
}

TEST(StretchEncoder, MarksSpacesAsMetaspaceDoes) {
  const auto rule = [](SpaceRule::Prefix prefix, bool split) {
    return fallback({.prefix = prefix, .metaspace = true, .split = split});
  };
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kAlways, false), " a"), ElementsAre(2));
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kAlways, false), "\u2581a"), ElementsAre(2));
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kAlways, false), "xa", 1), ElementsAre(2));
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kFirst, false), "xa", 1), ElementsAre(1));
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kFirst, false), "a"), ElementsAre(2));
  EXPECT_THAT(ids(rule(SpaceRule::Prefix::kNever, false), "a a"), ElementsAre(1, 2));
}

TEST(StretchEncoder, FindsAddedTokensInTheNormalizedText) {
  TokenizerModel model = fallback({.prefix = SpaceRule::Prefix::kAlways});
  model.added_tokens = {{.content = "b c", .id = 400, .normalized = true}};
  // As the library does, the token itself gets the prefix: it stands behind spaces only.
  EXPECT_THAT(ids(model, "a b c"), ElementsAre(2, 400));
  EXPECT_THAT(originals(model, "a b ca"), ElementsAre("a", " b c", "a"));
  TokenizerModel composed = byte_level();
  composed.nfc = true;
  composed.added_tokens = {{.content = "\u00e9", .id = 400, .normalized = true}};
  EXPECT_THAT(originals(composed, "ae\u0301"), ElementsAre("a", "e\u0301"));
  EXPECT_THAT(ids(composed, "ae\u0301"), ElementsAre('a', 400));
}

TEST(StretchEncoder, MayBeCalledFromSeveralThreads) {
  TokenizerModel model = byte_level();
  model.split_steps = {{.expression = std::string(kGpt2Expression)}};
  const StretchEncoder encoder(model);
  const std::string text = "the other thing then thaws; the \u6771\u4eac the";
  std::vector<TokenSpan> wanted;
  encoder.encode(text, {0, text.size()}, false, wanted);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        std::vector<TokenSpan> found;
        encoder.encode(text, {0, text.size()}, false, found);
        EXPECT_EQ(found.size(), wanted.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nkat::data
