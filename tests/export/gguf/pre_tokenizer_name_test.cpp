#include "export/gguf/pre_tokenizer_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/text/tokenizer_steps.h"
#include "tests/support/message_of.h"

namespace nkat::exporting {
namespace {

using data::TokenizerModel;
using nkat::testing::message_of;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TokenizerModel model_of(const Json& pre_tokenizers, bool ignore_merges = false) {
  TokenizerModel model;
  model.source = "test";
  model.kind = data::VocabularyKind::kByteLevel;
  model.ignore_merges = ignore_merges;
  data::read_tokenizer_steps({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", pre_tokenizers}}}}, model);
  return model;
}

Json byte_level(bool use_regex, bool prefix = false) {
  return {{"type", "ByteLevel"}, {"use_regex", use_regex}, {"add_prefix_space", prefix}};
}
Json split(const char* expression, const char* behavior = "Isolated", bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", behavior}, {"invert", invert}};
}

TEST(PreTokenizerName, IsThatOfEqualExpressions) {
  EXPECT_EQ(name_by_expressions(model_of(Json::array({byte_level(true)}))), "gpt-2");
  EXPECT_EQ(name_by_expressions(model_of({{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)})),
            "smollm");
  EXPECT_EQ(name_by_expressions(model_of({split(kLlama3), byte_level(false)}, /*ignore_merges=*/true)), "llama-bpe");
  EXPECT_EQ(name_by_expressions(model_of({split(kLlama3), byte_level(false)})), "smaug-bpe");
  EXPECT_EQ(name_by_expressions(model_of({split(kLlama3, "Removed", true), byte_level(false)})), "smaug-bpe")
      << "what it matches is kept, and there is nothing else";
}

TEST(PreTokenizerName, IsNoneOfOtherExpressions) {
  EXPECT_EQ(name_by_expressions(model_of(Json::array({byte_level(true, /*prefix=*/true)}))), "");
  EXPECT_EQ(name_by_expressions(model_of(Json::array({byte_level(false)}))), "");
  EXPECT_EQ(name_by_expressions(model_of({{{"type", "Digits"}, {"individual_digits", false}}, byte_level(true)})), "");
  EXPECT_EQ(name_by_expressions(model_of({split(kLlama3, "Removed"), byte_level(false)})), "");
}

// The hash is SHA-256 of "[1, 2]", which no known tokenizer gives.
TEST(PreTokenizerName, AnUnknownHashTakesTheExpressionsNameOrIsRefused) {
  const std::vector<std::int32_t> ids = {1, 2};
  EXPECT_EQ(pre_tokenizer_name(model_of(Json::array({byte_level(true)})), ids), "gpt-2");
  EXPECT_THAT(message_of<FormatError>([&] { pre_tokenizer_name(model_of(Json::array({byte_level(false)})), ids); }),
              AllOf(HasSubstr("test: llama.cpp has no pre-tokenizer"), HasSubstr("--format hf")));
}

}  // namespace
}  // namespace nkat::exporting
