#include "data/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using nkat::testing::byte_id;
using nkat::testing::tiny_id;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kSpace = "\u2581";

class TokenizerTest : public ::testing::Test {
 protected:
  TokenizerTest() : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)) {}
  std::vector<std::int32_t> control(std::string_view text) { return tokenizer_.encode(text, AddedTokens::kControl); }
  std::vector<std::int32_t> plain(std::string_view text) { return tokenizer_.encode(text, AddedTokens::kText); }
  std::string complaint() {
    return nkat::testing::complaint_about([&](const std::string& path) { Tokenizer{fs::path(path)}; },
                                          folder_.path().string());
  }
  nkat::testing::TemporaryFolder folder_;
  Tokenizer tokenizer_;
};

TEST_F(TokenizerTest, MergesByScoreAndFallsBackToBytes) {
  EXPECT_THAT(plain("hello"), ElementsAre(tiny_id(kSpace + "hello")));
  EXPECT_THAT(plain(" hello"), ElementsAre(tiny_id(kSpace), tiny_id(kSpace + "hello")));
  EXPECT_THAT(plain("hell"), ElementsAre(tiny_id(kSpace), tiny_id("hell")));
  EXPECT_THAT(plain("\u3053z\n"), ElementsAre(tiny_id(kSpace), tiny_id("\u3053"), byte_id('z'), byte_id('\n')));
  EXPECT_THAT(plain("\u00e9"), ElementsAre(tiny_id(kSpace), byte_id(0xC3), byte_id(0xA9)));
  EXPECT_THAT(plain(""), IsEmpty());
}

TEST_F(TokenizerTest, SwallowsUnicodeWhiteSpaceAfterTokensThatStrip) {
  EXPECT_THAT(control("<|user|>\n\u3000 \u00a0hello<|end|>\n<|assistant|>\n"),
              ElementsAre(310, tiny_id(kSpace + "hello"), 307, 301));
  // U+200B is no white space.
  EXPECT_THAT(control("<|user|>\u200b"),
              ElementsAre(310, tiny_id(kSpace), byte_id(0xE2), byte_id(0x80), byte_id(0x8B)));
  EXPECT_THAT(control("<|endoftext|>\nh"), ElementsAre(300, tiny_id(kSpace), byte_id('\n'), tiny_id("h")));
  EXPECT_THAT(control("a</s> \nh"), ElementsAre(tiny_id(kSpace), tiny_id("a"), 2, tiny_id(kSpace), tiny_id("h")));
}

TEST_F(TokenizerTest, LeavesAddedTokensAloneInPlainText) {
  for (const char* text : {"<|user|>", "</s>", "<s>", "<unk>", "hello<|end|>"}) {
    for (const std::int32_t id : plain(text)) EXPECT_GE(id, 3) << text;
    for (const std::int32_t id : plain(text)) EXPECT_LT(id, 300) << text;
    EXPECT_EQ(tokenizer_.decode(plain(text)), text);
  }
  EXPECT_THAT(control("<|user"), ElementsAreArray(plain("<|user")));
}

TEST_F(TokenizerTest, RecognizesAddedTokensOutsideLiteralRangesOnly) {
  const std::string text = "<s><s><s>";
  const ByteRange literal{3, 6};
  std::vector<std::int32_t> added;
  std::vector<ByteRange> plain;  // the space in front has the place of the first character
  for (const TokenSpan& span : tokenizer_.encode_spans(text, std::span(&literal, 1))) {
    if (span.added) {
      added.push_back(static_cast<std::int32_t>(span.bytes.begin));
    } else {
      EXPECT_EQ(span.bytes.begin, plain.size() < 2 ? 3u : plain.back().end);
      plain.push_back(span.bytes);
    }
  }
  EXPECT_THAT(added, ElementsAre(0, 6));
  ASSERT_FALSE(plain.empty());
  EXPECT_EQ(plain.back().end, 6u);
}

TEST_F(TokenizerTest, RefusesTextThatIsNotUtf8) { EXPECT_THROW(plain("a\xFF"), DataError); }

TEST_F(TokenizerTest, DecodesBytesSpacesAndAddedTokens) {
  EXPECT_EQ(tokenizer_.decode(control("  hello <|end|>")), "  hello <|end|>");
  EXPECT_EQ(tokenizer_.decode(control("<|user|>hello<|end|>"), /*skip_special=*/true), "hello");
  EXPECT_EQ(tokenizer_.decode(std::vector<std::int32_t>{byte_id(0xC3), byte_id(0xA9)}), "\u00e9");
  // One bad byte spoils its run, as in Hugging Face's ByteFallback.
  EXPECT_EQ(tokenizer_.decode(std::vector<std::int32_t>{byte_id('a'), byte_id(0xC3)}), "\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer_.decode(std::vector<std::int32_t>{290, 5000, -1, tiny_id("a")}), "a");
}

TEST_F(TokenizerTest, StreamsWholeCharactersThatJoinToTheDecodedText) {
  RandomStream random(1, "streaming-decoder");
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int32_t> ids;
    for (std::uint64_t i = random.below(12); i > 0; --i) ids.push_back(static_cast<std::int32_t>(random.below(315)));
    StreamingDecoder decoder(tokenizer_);
    std::string joined;
    for (const std::int32_t id : ids) {
      const std::string part = decoder.push(id);
      EXPECT_NO_THROW(tokenizer_.encode(part, AddedTokens::kText)) << "half a character";
      joined += part;
    }
    EXPECT_EQ(joined + decoder.finish(), tokenizer_.decode(ids));
  }
}

TEST_F(TokenizerTest, ReportsVocabularyAndIdentity) {
  EXPECT_EQ(tokenizer_.vocabulary_size(), 311);
  EXPECT_EQ(tokenizer_.added_token("<|end|>"), 307);
  EXPECT_EQ(tokenizer_.added_token("<|start|>"), std::nullopt);
  EXPECT_EQ(tokenizer_.sha256().size(), 64u);
  std::string other = nkat::testing::tiny_tokenizer_config();
  other.replace(other.find("\"rstrip\":true"), 13, "\"rstrip\":false");
  folder_.write("tokenizer_config.json", other);
  EXPECT_NE(Tokenizer(folder_.path()).sha256(), tokenizer_.sha256());
}

TEST_F(TokenizerTest, RefusesFoldersWithAnotherTokenizer) {
  fs::remove(folder_.path() / "tokenizer.model");
  EXPECT_THAT(complaint(), HasSubstr("found none"));
  folder_.write("tokenizer.json", "{}");
  EXPECT_THAT(complaint(), HasSubstr("expected an object 'model'"));
}

TEST_F(TokenizerTest, RefusesATokenizerJsonThatMeansSomethingElse) {
  const struct {
    const char* name;
    std::string json;
    const char* message;
  } files[] = {
      {"Empty", "", "not valid JSON"},
      {"List", "[]", "expected a JSON object"},
      {"NoModel", "{}", "'model'"},
      {"OtherNormalizer", R"({"model":{"byte_fallback":true,"vocab":{"a":0}},"normalizer":{"type":"NFKC"}})",
       "Prepend"},
      {"NoVocabulary", R"({"model":{}})", "'vocab'"},
      {"NoNormalizer", R"({"model":{"byte_fallback":true,"vocab":{"a":0}}})", "Metaspace or a normalizer"},
  };
  for (const auto& file : files) {
    folder_.write("tokenizer.json", file.json);
    EXPECT_THAT(complaint(), HasSubstr(file.message)) << file.name;
  }
}

TEST_F(TokenizerTest, RefusesAnAddedTokenOnTheIdOfAnotherPiece) {
  std::string config = nkat::testing::tiny_tokenizer_config();
  config.replace(config.find("\"307\""), 5, "\"261\"");
  folder_.write("tokenizer_config.json", config);
  EXPECT_THAT(complaint(), HasSubstr("which tokenizer.model gives to 'hell'"));
}

TEST_F(TokenizerTest, TreatsUserDefinedPiecesAsAddedTokens) {
  const std::string pieces = nkat::testing::tiny_pieces() + nkat::testing::proto_piece("<|end|>", 0, 4);
  folder_.write("tokenizer.model", pieces + nkat::testing::tiny_trainer() + nkat::testing::tiny_normalizer());
  EXPECT_THAT(complaint(), HasSubstr("must be an added token too"));
  std::string config = nkat::testing::tiny_tokenizer_config();
  config.replace(config.find("\"307\""), 5, "\"273\"");
  folder_.write("tokenizer_config.json", config);
  const Tokenizer tokenizer(folder_.path());
  EXPECT_THAT(tokenizer.encode("<|end|>", AddedTokens::kControl), ElementsAre(273));
  EXPECT_EQ(tokenizer.encode("<|end|>", AddedTokens::kText).size(), 1 + std::string("<|end|>").size());
}

}  // namespace
}  // namespace nkat::data
