#include "export/gguf/token_table.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// llama.cpp's LLAMA_TOKEN_TYPE_*.
constexpr std::int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

// One more than the last added token.
models::ModelConfig of_size(std::int64_t vocab_size = 311) {
  models::ModelConfig config;
  config.vocab_size = vocab_size;
  return config;
}

class TokenTable : public ::testing::Test {
 protected:
  TokenTable() { write_tiny_tokenizer(folder_); }
  Vocabulary read(const models::ModelConfig& config = of_size()) const {
    folder_.write("tokenizer_config.json", json_.dump());
    return read_vocabulary(folder_.path(), config);
  }
  std::string refusal(std::int64_t vocab_size = 311) const {
    return message_of<FormatError>([&] { read(of_size(vocab_size)); });
  }
  Json& added(const char* id) { return json_["added_tokens_decoder"][id]; }
  static void expect_token(const Vocabulary& table, int id, const char* text, float score, std::int32_t type) {
    const auto at = static_cast<std::size_t>(id);
    EXPECT_EQ(table.texts.at(at), text);
    EXPECT_EQ(table.scores.at(at), score) << text;
    EXPECT_EQ(table.types.at(at), type) << text;
  }

  const TemporaryFolder folder_;
  Json json_ = Json::parse(tiny_tokenizer_config());
};

TEST_F(TokenTable, HoldsPiecesThenAddedTokensAndPadsInTheGaps) {
  const Vocabulary table = read();
  ASSERT_EQ(table.texts.size(), 311u);
  expect_token(table, tiny_id("he"), "he", -1, kNormal);
  expect_token(table, tiny_id("\u2581hello"), "\u2581hello", -5, kNormal);
  expect_token(table, byte_id('A'), "<0x41>", 0, kByte);
  expect_token(table, 1, "<s>", -1000, kControl);
  expect_token(table, 2, "</s>", -1000, kUserDefined);  // added, and not special
  expect_token(table, 310, "<|user|>", -1000, kControl);
  expect_token(table, 273, "[PAD273]", -10000, kUnused);
  expect_token(table, 309, "[PAD309]", -10000, kUnused);
  // 273 to 299, 302 to 305, 308 and 309.
  EXPECT_EQ(std::ranges::count(table.types, kUnused), 33);
}

TEST_F(TokenTable, PiecesThatAreUserDefinedBecomeNormal) {
  folder_.write("tokenizer.model", tiny_pieces() + proto_piece("mine", -20, 4) + tiny_trainer() + tiny_normalizer());
  expect_token(read(), 273, "mine", -20, kNormal);
}

TEST_F(TokenTable, SpecialTokensAreThoseThatTheTokenizerNames) {
  const Vocabulary usual = read();
  EXPECT_EQ(usual.begin, 1u);
  EXPECT_EQ(usual.end, 300u);
  EXPECT_EQ(usual.unknown, 0u);
  EXPECT_EQ(usual.padding, std::nullopt);
  EXPECT_EQ(usual.end_of_turn, 307u);
  json_.update({{"bos_token", "<|user|>"},
                {"eos_token", {{"content", "<|end|>"}, {"lstrip", false}}},
                {"unk_token", "</s>"},
                {"pad_token", "<unk>"}});
  models::ModelConfig config = of_size();
  config.bos_token = config.pad_token = 5;
  config.end_tokens = {5};
  const Vocabulary named = read(config);
  EXPECT_EQ(named.begin, 310u);
  EXPECT_EQ(named.end, 307u);
  EXPECT_EQ(named.unknown, 2u);
  EXPECT_EQ(named.padding, 0u);
}

TEST_F(TokenTable, SpecialTokensThatTheTokenizerDoesNotNameAreTheConfigsElseTheUsual) {
  json_.erase("bos_token");
  json_["eos_token"] = "<missing>";
  models::ModelConfig config = of_size();
  EXPECT_EQ(read(config).begin, 1u);
  EXPECT_EQ(read(config).end, 300u);
  config.bos_token = 306;
  config.end_tokens = {307, 310};
  config.pad_token = 301;
  const Vocabulary table = read(config);
  EXPECT_EQ(table.begin, 306u);
  EXPECT_EQ(table.end, 307u);
  EXPECT_EQ(table.padding, 301u);
  added("307")["content"] = "<|stop|>";
  EXPECT_EQ(read(config).end_of_turn, std::nullopt);
}

TEST_F(TokenTable, NamesTheTokensThatLlamaCppStripsOtherwise) {
  EXPECT_TRUE(read().flags.strips_after_special);
  EXPECT_THAT(read().flags.stripped_otherwise, ElementsAre());
  added("2")["rstrip"] = false;     // </s>, after which llama.cpp strips
  added("300")["rstrip"] = true;    // <|endoftext|>, after which it doesn't
  added("301")["rstrip"] = false;   // a special token, after which it strips
  added("306")["lstrip"] = true;    // before which it never does
  added("310")["special"] = false;  // no special token, after which it strips all the same
  added("310")["rstrip"] = false;
  EXPECT_TRUE(read().flags.strips_after_special);
  EXPECT_THAT(read().flags.stripped_otherwise,
              ElementsAre("</s>", "<|endoftext|>", "<|assistant|>", "<|system|>", "<|user|>"));
}

TEST_F(TokenTable, WithoutASpecialTokenThatStripsNothingIsStripped) {
  for (const char* id : {"301", "306", "307", "310"}) added(id)["rstrip"] = false;
  EXPECT_FALSE(read().flags.strips_after_special);
  EXPECT_THAT(read().flags.stripped_otherwise, ElementsAre("</s>"));
  added("300")["rstrip"] = true;  // llama.cpp never strips after it
  EXPECT_FALSE(read().flags.strips_after_special);
}

TEST_F(TokenTable, AnIdBeyondTheEmbeddingIsRefused) {
  EXPECT_THAT(refusal(310), HasSubstr("token '<|user|>' has id 310, config.json says vocab_size 310"));
  EXPECT_THAT(refusal(272), HasSubstr("token 'a' has id 272"));
}

TEST_F(TokenTable, TextsThatStandTwiceAndTokensThatLlamaCppMissesAreRefused) {
  added("305") = Json::parse(added_token_json("hello", false));
  EXPECT_THAT(refusal(), HasSubstr("ids 262 and 305 both have the text 'hello'"));
  json_["added_tokens_decoder"].erase("305");
  json_["added_tokens_decoder"].erase("300");
  EXPECT_THAT(refusal(), HasSubstr("no token '<|endoftext|>'"));
}

}  // namespace
}  // namespace nkat::exporting
