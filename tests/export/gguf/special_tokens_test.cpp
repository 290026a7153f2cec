#include "export/gguf/special_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

Json token(const char* text) { return {{"SpecialToken", {{"id", text}, {"type_id", 0}}}}; }
Json text(const char* name) { return {{"Sequence", {{"id", name}, {"type_id", 0}}}}; }
Json around(const Json& single, const Json& pair) {
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}};
}

// Each expectation is what SpecialVocab of the gguf package (0.19) finds.
class SpecialTokensTest : public ::testing::Test {
 protected:
  SpecialTokens read(std::int64_t vocab_size = 10) const {
    const nkat::testing::TemporaryFolder folder;
    if (!tokenizer.is_null()) folder.write("tokenizer.json", tokenizer.dump());
    if (!config.is_null()) folder.write("tokenizer_config.json", config.dump());
    if (!model.is_null()) folder.write("config.json", model.dump());
    return read_special_tokens(folder.path(), vocab_size);
  }
  Json tokenizer = {
      {"added_tokens",
       {{{"id", 1}, {"content", "<s>"}}, {{"id", 2}, {"content", "</s>"}}, {{"id", 9}, {"content", "<end>"}}}}};
  Json config = {{"bos_token", "<s>"}, {"eos_token", {{"content", "</s>"}, {"lstrip", false}}}, {"unk_token", nullptr}};
  Json model = {{"bos_token_id", 7}, {"eos_token_id", {5, 6}}, {"pad_token_id", 3}, {"unk_token_id", 4}};
};

TEST_F(SpecialTokensTest, TheTokenizersConfigComesBeforeTheModels) {
  const SpecialTokens found = read();
  EXPECT_THAT(found.ids, UnorderedElementsAre(Pair("bos", 1), Pair("eos", 2), Pair("pad", 3), Pair("unk", 4)));
  EXPECT_THAT(found.added, IsEmpty());
}

TEST_F(SpecialTokensTest, IdsBeyondTheVocabularyAreLeftOut) {
  EXPECT_THAT(read(3).ids, UnorderedElementsAre(Pair("bos", 1), Pair("eos", 2)));
}

TEST_F(SpecialTokensTest, AFolderWithoutTokenizerFilesHasTheModelsIds) {
  tokenizer = config = nullptr;
  EXPECT_THAT(read().ids, UnorderedElementsAre(Pair("bos", 7), Pair("pad", 3), Pair("unk", 4)));
}

TEST_F(SpecialTokensTest, APostProcessorSaysWhatStandsAroundAText) {
  tokenizer["post_processor"] = around({token("<s>"), text("A")}, {token("<s>"), text("A"), token("<s>"), text("B")});
  EXPECT_THAT(read().added, UnorderedElementsAre(Pair("bos", true), Pair("sep", false)));
  tokenizer["post_processor"] = {
      {"type", "Sequence"},
      {"processors", {{{"type", "ByteLevel"}}, around({token("<x>"), text("A")}, Json::array())}}};
  EXPECT_THAT(read().added, UnorderedElementsAre(Pair("bos", false)));
  tokenizer["post_processor"] = around({text("A")}, {text("A"), text("B")});
  EXPECT_THAT(read().added, IsEmpty());
}

TEST_F(SpecialTokensTest, TheConfigsFlagsComeLast) {
  tokenizer["post_processor"] = around({token("<s>"), text("A")}, Json::array());
  config.update({{"add_bos_token", false}, {"add_eos_token", true}});
  EXPECT_THAT(read().added, UnorderedElementsAre(Pair("bos", false), Pair("eos", true)));
}

TEST_F(SpecialTokensTest, ASpaceInFrontIsTheConfigs) {
  EXPECT_EQ(read().prefix_space, std::nullopt);
  config["add_prefix_space"] = nullptr;
  EXPECT_EQ(read().prefix_space, std::nullopt);
  config["add_prefix_space"] = false;
  EXPECT_EQ(read().prefix_space, false);
}

TEST_F(SpecialTokensTest, AnotherTokenBehindATextIsTheEndAndTheNamedOneEndsATurn) {
  config["eos_token"] = "</s>";
  tokenizer["post_processor"] = around({text("A"), token("<end>")}, Json::array());
  const SpecialTokens found = read();
  EXPECT_EQ(found.ids.at("eos"), 9u);
  EXPECT_EQ(found.ids.at("eot"), 2u);
  EXPECT_THAT(found.added, UnorderedElementsAre(Pair("eos", true)));
}

TEST_F(SpecialTokensTest, ASeparatorStandsBetweenTwoTexts) {
  config.update({{"sep_token", "</s>"}, {"eos_token", "</s>"}});
  tokenizer["post_processor"] = around({token("<s>"), text("A")}, {token("<s>"), text("A"), token("</s>"), text("B")});
  const SpecialTokens found = read();
  EXPECT_TRUE(found.added.at("sep"));
  EXPECT_EQ(found.ids.at("sep"), 2u);
}

TEST_F(SpecialTokensTest, WhatHasAnotherShapeIsPassedOver) {
  tokenizer["added_tokens"] = 3;
  tokenizer["post_processor"] = {{"type", "TemplateProcessing"}, {"single", "x"}, {"pair", {1, {{"Sequence", 2}}}}};
  config["bos_token"] = {{"content", 5}};
  model["bos_token_id"] = -1;
  EXPECT_THAT(read().ids, UnorderedElementsAre(Pair("pad", 3), Pair("unk", 4)));
}

}  // namespace
}  // namespace nkat::exporting
