#include "data/datasets/sample_encoder.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using nkat::testing::tiny_id;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Tokens = std::vector<std::uint32_t>;

constexpr std::uint32_t kEnd = 307;
const std::string kSpace = "\u2581";

std::uint32_t plain(const std::string& piece) { return static_cast<std::uint32_t>(tiny_id(piece)); }
std::uint32_t target(const std::string& piece) { return plain(piece) | kTargetBit; }

Record text_record(const std::string& text) {
  Record record;
  record.text = text;
  return record;
}
Record conversation(const std::vector<Turn>& turns) {
  Record record;
  record.turns = turns;
  return record;
}
std::int64_t end_tokens(const Tokens& tokens) {
  return std::ranges::count_if(tokens, [](std::uint32_t one) { return (one & ~kTargetBit) == kEnd; });
}

class SampleEncoderTest : public ::testing::Test {
 protected:
  SampleEncoderTest()
      : tokenizer_(nkat::testing::write_tiny_tokenizer(folder_)),
        chat_(ChatTemplate::from_model_folder(folder_.path())) {}
  SampleEncoder encoder(const DatasetOptions& options = {}) const { return {tokenizer_, chat_, options}; }

  nkat::testing::TemporaryFolder folder_;
  Tokenizer tokenizer_;
  ChatTemplate chat_;
};

TEST_F(SampleEncoderTest, AllOfAPlainTextButItsFirstTokenIsATarget) {
  EXPECT_THAT(encoder().encode(text_record("hello a")),
              ElementsAre(plain(kSpace + "hello"), target(kSpace), target("a")));
  EXPECT_THAT(encoder().encode(text_record("")), IsEmpty());
}

TEST_F(SampleEncoderTest, WhatStandsAroundATextStandsThereOnceAndNeverInAConversation) {
  TokenizerModel model = tokenizer_.model();
  model.begin_tokens = {1};
  model.end_tokens = {2};
  const Tokenizer around{std::move(model)};
  const SampleEncoder text(around, chat_, {});
  const SampleEncoder control(around, chat_, {.files = {}, .special_tokens = AddedTokens::kControl});
  EXPECT_THAT(text.encode(text_record("hello")), ElementsAre(1, target(kSpace + "hello"), 2 | kTargetBit));
  EXPECT_THAT(control.encode(text_record("<s>hello</s>")), ElementsAre(1, target(kSpace + "hello"), 2 | kTargetBit));
  EXPECT_THAT(text.encode(text_record("")), ElementsAre(1, 2 | kTargetBit));
  const Record asked = conversation({{Role::kUser, "h"}, {Role::kAssistant, "hello"}});
  EXPECT_EQ(text.encode(asked), encoder().encode(asked));
  EXPECT_NE(text.identity(), encoder().identity());
}

TEST_F(SampleEncoderTest, TheAnswerAndItsEndAreTheTargetsOfAConversation) {
  EXPECT_THAT(encoder().encode(conversation({{Role::kUser, "h"}, {Role::kAssistant, "hello"}})),
              ElementsAre(310, plain(kSpace), plain("h"), kEnd, 301, target(kSpace + "hello"), kEnd | kTargetBit, 300));
}

TEST_F(SampleEncoderTest, AddedTokensAreTextUnlessTheyAreControl) {
  const DatasetOptions control{.files = {}, .special_tokens = AddedTokens::kControl};
  EXPECT_EQ(end_tokens(encoder().encode(text_record("a<|end|>"))), 0);
  EXPECT_EQ(end_tokens(encoder(control).encode(text_record("a<|end|>"))), 1);
  const Record record = conversation({{Role::kUser, "h"}, {Role::kAssistant, "a<|end|>"}});
  EXPECT_EQ(end_tokens(encoder().encode(record)), 2);
  EXPECT_EQ(end_tokens(encoder(control).encode(record)), 3);
}

TEST_F(SampleEncoderTest, ASampleOfTheLimitsLengthIsWholeAndALongerOneIsCut) {
  const DatasetOptions options{.files = {}, .max_sequence_length = 3};
  Tokens tokens = {1, 2, 3 | kTargetBit};
  EXPECT_EQ(encoder(options).truncate(tokens, "x:1"), TruncationResult::kWhole);
  EXPECT_THAT(tokens, ElementsAre(1, 2, 3 | kTargetBit));
  tokens = {1, 2 | kTargetBit, 3, 4 | kTargetBit};
  EXPECT_EQ(encoder(options).truncate(tokens, "x:1"), TruncationResult::kTruncated);
  EXPECT_THAT(tokens, ElementsAre(1, 2 | kTargetBit, 3));
}

TEST_F(SampleEncoderTest, ASampleWithoutATargetIsDropped) {
  const DatasetOptions options{.files = {}, .max_sequence_length = 3};
  for (Tokens tokens : {Tokens{}, Tokens{1, 2}, Tokens{1, 2, 3, 4 | kTargetBit}}) {
    EXPECT_EQ(encoder(options).truncate(tokens, "x:1"), TruncationResult::kDroppedWithoutTarget) << tokens.size();
  }
}

TEST_F(SampleEncoderTest, AnOverlongSampleIsDroppedOrRefusedOnRequest) {
  Tokens tokens = {1, 2 | kTargetBit, 3, 4};
  const DatasetOptions drop{.files = {}, .max_sequence_length = 3, .overlong = Overlong::kDrop};
  EXPECT_EQ(encoder(drop).truncate(tokens, "x:1"), TruncationResult::kDroppedOverlong);
  const DatasetOptions refuse{.files = {}, .max_sequence_length = 3, .overlong = Overlong::kError};
  EXPECT_THAT(nkat::testing::message_of<DataError>([&] { encoder(refuse).truncate(tokens, "x.jsonl:7"); }),
              HasSubstr("x.jsonl:7: expected at most 3 tokens, found 4; raise --max-sequence-length"));
  tokens.pop_back();
  EXPECT_EQ(encoder(drop).truncate(tokens, "x:1"), TruncationResult::kWhole);
  EXPECT_EQ(encoder(refuse).truncate(tokens, "x:1"), TruncationResult::kWhole);
}

TEST_F(SampleEncoderTest, TheIdentityChangesWithAllThatDecidesTokens) {
  const std::string identity = encoder().identity();
  EXPECT_EQ(encoder({.files = {"other.jsonl"}, .max_bad_records = 3}).identity(), identity);
  EXPECT_NE(encoder({.files = {}, .max_sequence_length = 1023}).identity(), identity);
  EXPECT_NE(encoder({.files = {}, .overlong = Overlong::kDrop}).identity(), identity);
  EXPECT_NE(encoder({.files = {}, .special_tokens = AddedTokens::kControl}).identity(), identity);

  const nkat::testing::TemporaryFolder folder;
  std::string config = nkat::testing::tiny_tokenizer_config();
  config.replace(config.find("\"rstrip\":true"), 13, "\"rstrip\":false");
  config.replace(config.rfind("<|endoftext|>"), 13, "<|end|>");
  folder.write("tokenizer.model", nkat::testing::tiny_model());
  folder.write("tokenizer_config.json", config);
  const Tokenizer other_tokenizer(folder.path());
  const ChatTemplate other_chat = ChatTemplate::from_model_folder(folder.path());
  EXPECT_NE(SampleEncoder(other_tokenizer, chat_, {}).identity(), identity);
  EXPECT_NE(SampleEncoder(tokenizer_, other_chat, {}).identity(), identity);
}

}  // namespace
}  // namespace nkat::data
