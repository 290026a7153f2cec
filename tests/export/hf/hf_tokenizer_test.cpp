#include "export/hf/hf_tokenizer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nkat::exporting {
namespace {

using data::PieceType;
using data::TokenizerModel;
using Json = nlohmann::json;

TokenizerModel byte_level() {
  TokenizerModel model;
  model.kind = data::VocabularyKind::kByteLevel;
  model.pieces = {{"<|end|>", 0, PieceType::kControl},
                  {"a", 0, PieceType::kNormal},
                  {"b", 0, PieceType::kNormal},
                  {"ab", 0, PieceType::kNormal},
                  {"[PAD4]", 0, PieceType::kUnused}};
  model.merges = {{1, 2}};
  model.split_steps = {{.expression = "\\p{N}"}, {.expression = "\\s+", .keep_matches = false}};
  model.added_tokens = {{.content = "<|end|>", .id = 0, .special = true, .strip_right = true}};
  return model;
}

TEST(HfTokenizer, AByteLevelModelKeepsItsMergesAndExpressions) {
  const Json json = Json::parse(tokenizer_json(byte_level()));
  EXPECT_EQ(json["model"]["vocab"], Json::parse(R"({"<|end|>": 0, "a": 1, "b": 2, "ab": 3})"));
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["a", "b"]])"));
  EXPECT_EQ(json["model"]["byte_fallback"], false);
  const Json steps = json["pre_tokenizer"]["pretokenizers"];
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0]["pattern"], Json::parse(R"({"Regex": "\\p{N}"})"));
  EXPECT_EQ(steps[0]["behavior"], "Isolated");
  EXPECT_EQ(steps[1]["behavior"], "Removed");
  EXPECT_EQ(steps[2]["type"], "ByteLevel");
  EXPECT_EQ(json["post_processor"], nullptr);
  EXPECT_EQ(json["added_tokens"][0]["rstrip"], true);
  EXPECT_EQ(json["added_tokens"][0]["id"], 0);
}

// As transformers does it for tokenizer.model: by score, then by the lengths of the parts, all descending.
TEST(HfTokenizer, ScoresBecomeMergesFromTheHighestOn) {
  TokenizerModel model;
  model.merges_by_score = true;
  model.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"a", -5, PieceType::kNormal},   {"b", -6, PieceType::kNormal},
                  {"ab", -2, PieceType::kNormal},    {"aba", -1, PieceType::kNormal}, {"ba", -3, PieceType::kNormal}};
  const Json json = Json::parse(tokenizer_json(model));
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["ab", "a"], ["a", "ba"], ["a", "b"], ["b", "a"]])"));
  EXPECT_EQ(json["model"]["unk_token"], "<unk>");
  EXPECT_EQ(json["model"]["byte_fallback"], true);
  EXPECT_EQ(json["normalizer"]["normalizers"][0]["type"], "Prepend");
}

TEST(HfTokenizer, TokensAroundATextAreATemplate) {
  TokenizerModel model = byte_level();
  model.begin_tokens = {0};
  const Json processor = Json::parse(tokenizer_json(model))["post_processor"];
  EXPECT_EQ(processor["single"][0], Json::parse(R"({"SpecialToken": {"id": "<|end|>", "type_id": 0}})"));
  EXPECT_EQ(processor["single"][1], Json::parse(R"({"Sequence": {"id": "A", "type_id": 0}})"));
  EXPECT_EQ(processor["special_tokens"]["<|end|>"]["ids"], Json::parse("[0]"));
  EXPECT_EQ(processor["pair"].size(), 4u);
}

TEST(HfTokenizer, TheConfigNamesTokensAndTemplate) {
  const Json json = Json::parse(tokenizer_config_json(byte_level(), {.end = "<|end|>"}, "{{ x }}"));
  EXPECT_EQ(json["eos_token"], "<|end|>");
  EXPECT_FALSE(json.contains("bos_token"));
  EXPECT_EQ(json["chat_template"], "{{ x }}");
  EXPECT_EQ(json["added_tokens_decoder"]["0"]["special"], true);
}

}  // namespace
}  // namespace nkat::exporting
