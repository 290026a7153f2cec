#include "models/gguf_config.h"

#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using gguf::GgmlType;
using gguf::GgufValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Keys = std::map<std::string, GgufValue>;

GgufValue u32(std::uint32_t value) { return GgufValue::number(value); }
GgufValue list(const std::vector<std::uint32_t>& values) { return GgufValue::numbers<std::uint32_t>(values); }

// What llama.cpp asks for and no more: 2 layers of 4 heads of 8 channels, 5 tokens.
Keys required_keys() {
  return {{"general.architecture", GgufValue::string("phi3")},
          {"phi3.context_length", u32(64)},
          {"phi3.embedding_length", u32(32)},
          {"phi3.feed_forward_length", u32(40)},
          {"phi3.block_count", u32(2)},
          {"phi3.attention.head_count", u32(4)},
          {"phi3.attention.layer_norm_rms_epsilon", GgufValue::number(1e-5F)}};
}

struct RopeFactors {
  std::uint64_t count = 0;
  float value = 1.5F;
};

class GgufConfig : public ::testing::Test {
 protected:
  ModelConfig read(const Keys& keys, const RopeFactors& factors = {}) const {
    gguf::GgufMetadata metadata("test");
    for (const auto& [key, value] : keys) metadata.add(key, value);
    std::vector<gguf::GgufTensorPlan> tensors = {{"token_embd.weight", {32, 5}, GgmlType::kF32}};
    if (factors.count > 0) {
      tensors.push_back({"rope_factors_long.weight", {factors.count}, GgmlType::kF32});
      tensors.push_back({"rope_factors_short.weight", {factors.count}, GgmlType::kF32});
    }
    const fs::path path = folder_.path() / "x.gguf";
    gguf::write_gguf(path, metadata, tensors, [&](const gguf::GgufTensor& tensor, const auto& append) {
      const std::vector<float> values(tensor.elements(), factors.value);
      append(std::as_bytes(std::span(values)));
    });
    return model_config_from(gguf::GgufFile(path));
  }
  // The message when these keys are set on top of the required ones.
  std::string refusal(const Keys& changes, const RopeFactors& factors = {}) const {
    Keys keys = required_keys();
    for (const auto& [key, value] : changes) keys.insert_or_assign(key, value);
    return nkat::testing::message_of<FormatError>([&] { read(keys, factors); });
  }
  const nkat::testing::TemporaryFolder folder_;
};

TEST_F(GgufConfig, MissingKeysHaveLlamaCppsDefaults) {
  const ModelConfig config = read(required_keys());
  EXPECT_EQ(config.hidden_size, 32);
  EXPECT_EQ(config.intermediate_size, 40);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.num_key_value_heads, 4);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.rotary_dim, 8);
  EXPECT_EQ(config.vocab_size, 5);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_EQ(config.original_max_position_embeddings, 64);
  EXPECT_EQ(config.sliding_window, std::nullopt);
  EXPECT_EQ(config.attention_factor, 1);
  EXPECT_TRUE(config.long_factor.empty());
  EXPECT_TRUE(config.tie_word_embeddings);
}

TEST_F(GgufConfig, OptionalKeysAreRead) {
  Keys keys = required_keys();
  keys.merge(Keys{{"phi3.attention.head_count_kv", u32(2)},
                  {"phi3.rope.dimension_count", u32(6)},
                  {"phi3.rope.freq_base", GgufValue::number(250000.0F)},
                  {"phi3.rope.scaling.original_context_length", u32(16)},
                  {"phi3.rope.scaling.attn_factor", GgufValue::number(1.25F)},
                  {"phi3.attention.sliding_window", u32(7)},
                  {"tokenizer.ggml.eos_token_id", u32(4)},
                  {"tokenizer.ggml.eot_token_id", u32(3)},
                  {"tokenizer.ggml.bos_token_id", u32(1)}});
  const ModelConfig config = read(keys, {.count = 3});
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.rotary_dim, 6);
  EXPECT_EQ(config.rope_theta, 250000);
  EXPECT_EQ(config.max_position_embeddings, 64);
  EXPECT_EQ(config.original_max_position_embeddings, 16);
  EXPECT_EQ(config.attention_factor, 1.25);
  EXPECT_EQ(config.sliding_window, 7);
  EXPECT_THAT(config.end_tokens, ElementsAre(3, 4));
  EXPECT_EQ(config.bos_token, 1);
  EXPECT_THAT(config.long_factor, ElementsAre(1.5, 1.5, 1.5));
}

TEST_F(GgufConfig, HeadCountsMayBeListsOfEqualNumbers) {
  Keys keys = required_keys();
  keys.insert_or_assign("phi3.attention.head_count", list({4, 4}));
  keys.insert_or_assign("phi3.attention.head_count_kv",
                        GgufValue::numbers<std::int32_t>(std::vector<std::int32_t>{2, 2}));
  EXPECT_EQ(read(keys).num_heads, 4);
  EXPECT_EQ(read(keys).num_key_value_heads, 2);
  EXPECT_THAT(refusal({{"phi3.attention.head_count", list({4, 2})}}), HasSubstr("the same number in every layer"));
  EXPECT_THAT(refusal({{"phi3.attention.head_count", list({4})}}), HasSubstr("2 numbers, one per layer"));
  EXPECT_THAT(refusal({{"phi3.attention.head_count", list({})}}), HasSubstr("2 numbers, one per layer"));
}

TEST_F(GgufConfig, AContextBelowTheOriginalOneIsNoError) {
  Keys keys = required_keys();
  keys.emplace("phi3.rope.scaling.original_context_length", u32(4096));
  EXPECT_EQ(read(keys).max_position_embeddings, 4096);
}

TEST_F(GgufConfig, EachKeyIsRequiredByName) {
  for (const auto& [key, value] : required_keys()) {
    Keys keys = required_keys();
    keys.erase(key);
    EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { read(keys); }), HasSubstr(key));
  }
}

TEST_F(GgufConfig, WhatIsNoModelIsRefusedByKey) {
  const auto text = [](const char* value) { return GgufValue::string(value); };
  const auto f32 = [](float value) { return GgufValue::number(value); };
  const std::vector<std::pair<std::string, GgufValue>> wrong = {
      {"general.architecture", text("gemma")},
      {"phi3.expert_count", u32(8)},
      {"general.type", text("adapter")},
      {"split.count", GgufValue::number<std::uint16_t>(3)},
      {"phi3.block_count", u32(0)},
      {"phi3.block_count", u32(513)},
      {"phi3.block_count", GgufValue::number<std::uint64_t>(2)},
      {"phi3.embedding_length", u32(UINT32_MAX)},
      {"phi3.attention.head_count", u32(3)},
      {"phi3.attention.head_count_kv", u32(3)},
      {"phi3.attention.key_length", u32(16)},
      {"phi3.rope.dimension_count", u32(7)},
      {"phi3.rope.dimension_count", u32(10)},
      {"phi3.rope.freq_base", f32(0)},
      {"phi3.rope.scaling.attn_factor", f32(NAN)},
      {"phi3.rope.scaling.type", text("yarn")},
      {"phi3.rope.scaling.factor", f32(4)},
      {"phi3.attention.layer_norm_rms_epsilon", f32(-1)},
      {"phi3.attention.layer_norm_rms_epsilon", GgufValue::number(1e-5)},
      {"tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>{"a"})},
      {"tokenizer.ggml.scores", GgufValue::numbers<float>(std::vector<float>(6))},
      {"tokenizer.ggml.token_type", GgufValue::numbers<std::int32_t>(std::vector<std::int32_t>(4))},
      {"tokenizer.ggml.padding_token_id", u32(5)},
      {"tokenizer.ggml.unknown_token_id", u32(UINT32_MAX)},
  };
  for (const auto& [key, value] : wrong) EXPECT_THAT(refusal({{key, value}}), HasSubstr(key));
}

// The required keys under another architecture's name.
Keys keys_of(const std::string& architecture) {
  Keys keys;
  for (const auto& [key, value] : required_keys()) {
    keys.emplace(key.starts_with("phi3.") ? architecture + key.substr(4) : key, value);
  }
  keys.insert_or_assign("general.architecture", GgufValue::string(architecture));
  return keys;
}

TEST_F(GgufConfig, ReadsTheOtherArchitectures) {
  using models::Family;
  for (const auto& [name, family] :
       {std::pair{"llama", Family::kLlama}, {"qwen2", Family::kQwen2}, {"qwen3", Family::kQwen3}}) {
    const models::ModelConfig config = read(keys_of(name));
    EXPECT_EQ(config.family, family);
    EXPECT_EQ(config.head_norms, family == Family::kQwen3);
    EXPECT_FALSE(config.qkv_bias);
  }
  Keys keys = keys_of("llama");
  keys.emplace("llama.attention.key_length", u32(16));
  keys.emplace("llama.attention.value_length", u32(16));
  keys.emplace("llama.rope.scaling.type", GgufValue::string("linear"));
  keys.emplace("llama.rope.scaling.factor", GgufValue::number(4.0F));
  EXPECT_EQ(read(keys).head_dim, 16);
  EXPECT_EQ(read(keys).rope_scaling.kind, layers::RopeScaling::Kind::kLinear);
  EXPECT_EQ(read(keys).rope_scaling.factor, 4);
  keys.insert_or_assign("llama.rope.scaling.type", GgufValue::string("yarn"));
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { read(keys); }),
              HasSubstr("llama.rope.scaling.type: expected none or linear, found yarn"));
}

TEST_F(GgufConfig, EveryKeyByWhichLlamaCppScalesIsReadOrRefused) {
  Keys keys = keys_of("llama");
  keys.emplace("llama.rope.scale_linear", GgufValue::number(2.0F));  // of files from 2023
  EXPECT_EQ(read(keys).rope_scaling.factor, 2);
  keys.emplace("llama.rope.scaling.factor", GgufValue::number(8.0F));
  EXPECT_EQ(read(keys).rope_scaling.factor, 8);
  keys.insert_or_assign("llama.rope.scaling.attn_factor", GgufValue::number(1.0F));
  EXPECT_EQ(read(keys).rope_scaling.factor, 8);
  keys.insert_or_assign("llama.rope.scaling.attn_factor", GgufValue::number(1.5F));
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { read(keys); }),
              HasSubstr("llama.rope.scaling.attn_factor: expected 1, found 1.5"));
  for (const char* type : {"none", "longrope", "linear"})
    EXPECT_EQ(refusal({{"phi3.rope.scaling.type", GgufValue::string(type)}}), "") << type;
}

TEST_F(GgufConfig, RopeFactorsMustFitTheRotaryDimension) {
  EXPECT_EQ(refusal({}, {.count = 4}), "");
  EXPECT_THAT(refusal({}, {.count = 3}), HasSubstr("rope_factors_long.weight: expected 4 f32 numbers"));
  EXPECT_THAT(refusal({}, {.count = 4, .value = -1}), HasSubstr("numbers above 0"));
}

}  // namespace
}  // namespace nkat::models
