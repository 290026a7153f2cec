#include "data/text/gguf_vocabulary.h"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/text/tokenizer.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using gguf::GgufMetadata;
using gguf::GgufValue;
using nkat::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Keys that can be changed before they are read.
struct Keys {
  std::vector<std::pair<std::string, GgufValue>> all;

  void set(const std::string& key, GgufValue value) {
    remove(key);
    all.emplace_back(key, std::move(value));
  }
  void remove(const std::string& key) {
    std::erase_if(all, [&](const auto& pair) { return pair.first == key; });
  }
  TokenizerModel read() const {
    GgufMetadata metadata("test.gguf");
    for (const auto& [key, value] : all) metadata.add(key, value);
    return read_gguf_vocabulary(metadata, "test.gguf");
  }
  std::vector<std::int32_t> encode(std::string_view text) const {
    return Tokenizer(read()).encode(text, AddedTokens::kControl);
  }
  std::string refusal() const {
    return message_of<FormatError>([&] { read(); });
  }
};

// 0 <unk>, 1 <s>, 2 </s>, 3 to 258 bytes, then the pieces with falling scores.
Keys byte_fallback(const std::vector<std::string>& pieces) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    texts.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
  }
  texts.insert(texts.end(), pieces.begin(), pieces.end());
  types.resize(texts.size(), 1);
  std::vector<float> scores(texts.size());
  for (std::size_t i = 259; i < scores.size(); ++i) scores[i] = 258 - static_cast<float>(i);
  Keys keys;
  keys.set("tokenizer.ggml.model", GgufValue::string("llama"));
  keys.set("tokenizer.ggml.tokens", GgufValue::strings(texts));
  keys.set("tokenizer.ggml.token_type", GgufValue::numbers<std::int32_t>(types));
  keys.set("tokenizer.ggml.scores", GgufValue::numbers<float>(scores));
  return keys;
}

// 0 to 5: a b 1 space ab <|im_end|>; every other byte is missing and is left out.
Keys byte_level(const char* pre) {
  Keys keys;
  keys.set("tokenizer.ggml.model", GgufValue::string("gpt2"));
  if (pre != nullptr) keys.set("tokenizer.ggml.pre", GgufValue::string(pre));
  keys.set("tokenizer.ggml.tokens",
           GgufValue::strings(std::vector<std::string>{"a", "b", "1", "\u0120", "ab", "<|im_end|>", "11"}));
  keys.set("tokenizer.ggml.merges", GgufValue::strings(std::vector<std::string>{"a b", "1 1", "a b"}));
  return keys;
}

TEST(GgufVocabulary, ALlamaVocabularyMergesByScoreBehindASpace) {
  const Keys keys = byte_fallback({"\u2581", "a", "b", "ab", "\u2581ab", "[PAD264]"});
  EXPECT_THAT(keys.encode("ab"), ElementsAre(263));
  EXPECT_THAT(keys.encode("<s>ab</s>b"), ElementsAre(1, 263, 2, 259, 261));
  EXPECT_THAT(keys.encode("\u00E9"), ElementsAre(259, 3 + 0xC3, 3 + 0xA9));
  EXPECT_EQ(Tokenizer(keys.read()).decode(std::vector<std::int32_t>{263, 261}), "abb");
}

TEST(GgufVocabulary, TheKeysDecideAboutTokensAroundATextAndTheSpaceInFront) {
  Keys keys = byte_fallback({"\u2581", "a"});
  EXPECT_THAT(keys.read().begin_tokens, ElementsAre(1));  // llama.cpp's default of this kind
  EXPECT_THAT(keys.read().end_tokens, IsEmpty());
  keys.set("tokenizer.ggml.add_bos_token", GgufValue::number(false));
  keys.set("tokenizer.ggml.add_eos_token", GgufValue::number(true));
  keys.set("tokenizer.ggml.eos_token_id", GgufValue::number<std::uint32_t>(260));
  keys.set("tokenizer.ggml.add_space_prefix", GgufValue::number(false));
  EXPECT_THAT(keys.read().begin_tokens, IsEmpty());
  EXPECT_THAT(keys.read().end_tokens, ElementsAre(260));
  EXPECT_THAT(keys.encode("a"), ElementsAre(260));
}

TEST(GgufVocabulary, OnlyTwoPreTokenizersAddABeginTokenByThemselves) {
  for (const char* pre : {"llama-bpe", "tekken"}) {
    Keys keys = byte_level(pre);
    EXPECT_THAT(keys.refusal(), HasSubstr("add_bos_token")) << "the default id 11 is no token";
    keys.set("tokenizer.ggml.bos_token_id", GgufValue::number<std::uint32_t>(5));
    EXPECT_THAT(keys.read().begin_tokens, ElementsAre(5)) << pre;
  }
  EXPECT_THAT(byte_level("smollm").read().begin_tokens, IsEmpty());
}

TEST(GgufVocabulary, AByteLevelVocabularyIsCutByItsPreTokenizer) {
  EXPECT_THAT(byte_level("gpt-2").encode("ab 11"), ElementsAre(4, 3, 6));
  EXPECT_THAT(byte_level("smollm").encode("ab 11"), ElementsAre(4, 3, 2, 2));
  EXPECT_THAT(byte_level("gpt-2").encode("a<|im_end|>b"), ElementsAre(0, 5, 1)) << "a control token by its text";
  EXPECT_THAT(byte_level("gpt-2").encode("azb"), ElementsAre(0, 1)) << "a byte without a token is left out";
  EXPECT_THAT(byte_level(nullptr).encode("1111"), ElementsAre(6, 2, 2)) << "default, three digits a word";
}

TEST(GgufVocabulary, OfTwoMergesOfOnePairTheFirstCounts) { EXPECT_EQ(byte_level("gpt-2").read().merges.size(), 2u); }

TEST(GgufVocabulary, SpecialTokensOfAPhi3SwallowWhiteSpaceBehindThem) {
  Keys keys = byte_fallback({"\u2581", "a", "<|end|>"});
  EXPECT_THAT(keys.encode("<|end|> a"), ElementsAre(261, 259, 259, 260));
  keys.set("general.name", GgufValue::string("My PHI3"));
  EXPECT_THAT(keys.encode("<|end|> \na"), ElementsAre(261, 259, 260));
  EXPECT_THAT(keys.encode("<s> a"), ElementsAre(1, 259, 259, 260));
}

TEST(GgufVocabulary, AnEmptyTextIsNamedByItsId) {
  Keys keys = byte_level("gpt-2");
  keys.set("tokenizer.ggml.tokens",
           GgufValue::strings(std::vector<std::string>{"a", "b", "1", "\u0120", "ab", "", "11"}));
  EXPECT_EQ(keys.read().pieces[5].text, "[EMPTY_5]");
}

TEST(GgufVocabulary, ScoresMayBeWholeNumbers) {
  Keys keys = byte_fallback({"\u2581", "a", "aa", "\u2581a"});
  std::vector<std::int32_t> scores(263, 0);
  scores[261] = 2;
  scores[262] = 1;
  keys.set("tokenizer.ggml.scores", GgufValue::numbers<std::int32_t>(scores));
  EXPECT_THAT(keys.encode("aa"), ElementsAre(259, 261));
}

TEST(GgufVocabulary, WhatIsNotKnownIsRefusedByName) {
  Keys keys = byte_level("mpt");
  EXPECT_THAT(keys.refusal(),
              AllOf(HasSubstr("test.gguf: metadata key 'tokenizer.ggml.pre': expected default, llama-bpe"),
                    HasSubstr("'mpt'")));
  keys.set("tokenizer.ggml.model", GgufValue::string("bert"));
  EXPECT_THAT(keys.refusal(), HasSubstr("'tokenizer.ggml.model': expected llama or gpt2, found 'bert'"));
}

TEST(GgufVocabulary, WhatDoesNotFitIsRefused) {
  struct Row {
    const char* key;
    GgufValue value;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>{}), "at least one"},
      {"tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>{"a", "a"}), "token 0 has the same text"},
      {"tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>{"\xFF"}), "token 0 is not UTF-8"},
      {"tokenizer.ggml.token_type", GgufValue::numbers<std::int32_t>(std::vector<std::int32_t>{1}), "7 numbers"},
      {"tokenizer.ggml.token_type", GgufValue::number<std::int32_t>(1), "array of i32"},
      {"tokenizer.ggml.scores", GgufValue::numbers<float>(std::vector<float>(7, NAN)), "not finite"},
      {"tokenizer.ggml.merges", GgufValue::strings(std::vector<std::string>{"a"}), "number 0: expected two tokens"},
      {"tokenizer.ggml.merges", GgufValue::strings(std::vector<std::string>{"a 1"}), "make a third one"},
      {"tokenizer.ggml.merges", GgufValue::strings(std::vector<std::string>{""}), "number 0"},
      {"tokenizer.ggml.add_bos_token", GgufValue::number<std::uint32_t>(1), "bool"},
  };
  for (const Row& row : rows) {
    Keys keys = byte_level("gpt-2");
    keys.set(row.key, row.value);
    EXPECT_THAT(keys.refusal(), HasSubstr(row.message)) << row.key;
  }
  Keys keys = byte_fallback({"a"});
  keys.set("tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>(1, "a")));
  keys.remove("tokenizer.ggml.token_type");
  keys.remove("tokenizer.ggml.scores");
  EXPECT_THAT(keys.refusal(), HasSubstr("'<0x00>' is missing"));
}

}  // namespace
}  // namespace nkat::data
