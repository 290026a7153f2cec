#include "export/hf/hf_config.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

using models::Family;
using models::ModelConfig;
using ::testing::HasSubstr;

ModelConfig example(Family family) {
  ModelConfig config;
  config.family = family;
  config.hidden_size = 64;
  config.intermediate_size = 96;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = config.rotary_dim = 16;
  config.vocab_size = 100;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = 5e5;
  config.max_position_embeddings = config.original_max_position_embeddings = 4096;
  config.qkv_bias = family == Family::kQwen2;
  config.head_norms = family == Family::kQwen3;
  config.tie_word_embeddings = true;
  config.end_tokens = {2, 7};
  config.bos_token = 1;
  return config;
}

ModelConfig read_back(const ModelConfig& config) {
  const nkat::testing::TemporaryFolder folder;
  folder.write("config.json", hf_config_json(config, "float32", "x.gguf"));
  folder.write("generation_config.json", generation_config_json(config));
  return models::read_model_config(folder.path());
}

void expect_same(const ModelConfig& found, const ModelConfig& wanted) {
  EXPECT_EQ(found.family, wanted.family);
  EXPECT_EQ(found.hidden_size, wanted.hidden_size);
  EXPECT_EQ(found.intermediate_size, wanted.intermediate_size);
  EXPECT_EQ(found.num_layers, wanted.num_layers);
  EXPECT_EQ(found.num_heads, wanted.num_heads);
  EXPECT_EQ(found.num_key_value_heads, wanted.num_key_value_heads);
  EXPECT_EQ(found.head_dim, wanted.head_dim);
  EXPECT_EQ(found.rotary_dim, wanted.rotary_dim);
  EXPECT_EQ(found.vocab_size, wanted.vocab_size);
  EXPECT_EQ(found.rms_norm_eps, wanted.rms_norm_eps);
  EXPECT_EQ(found.rope_theta, wanted.rope_theta);
  EXPECT_EQ(found.original_max_position_embeddings, wanted.original_max_position_embeddings);
  EXPECT_EQ(found.sliding_window, wanted.sliding_window);
  EXPECT_EQ(found.short_factor, wanted.short_factor);
  EXPECT_EQ(found.long_factor, wanted.long_factor);
  EXPECT_NEAR(found.attention_factor, wanted.attention_factor, 1e-6);
  EXPECT_EQ(found.rope_scaling.kind, wanted.rope_scaling.kind);
  EXPECT_EQ(found.rope_scaling.factor, wanted.rope_scaling.factor);
  EXPECT_EQ(found.qkv_bias, wanted.qkv_bias);
  EXPECT_EQ(found.mlp_bias, wanted.mlp_bias);
  EXPECT_EQ(found.head_norms, wanted.head_norms);
  EXPECT_EQ(found.tie_word_embeddings, wanted.tie_word_embeddings);
  EXPECT_EQ(found.end_tokens, wanted.end_tokens);
  EXPECT_EQ(found.bos_token, wanted.bos_token);
}

TEST(HfConfig, IsReadBackAsTheSameConfigInEveryFamily) {
  for (const Family family : {Family::kPhi3, Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    const ModelConfig config = example(family);
    expect_same(read_back(config), config);
  }
}

TEST(HfConfig, KeepsALinearScaling) {
  ModelConfig config = example(Family::kLlama);
  config.rope_scaling = {.kind = layers::RopeScaling::Kind::kLinear, .factor = 4};
  expect_same(read_back(config), config);
}

// transformers computes the attention factor from the longest context, which a GGUF file may declare shorter.
TEST(HfConfig, LongropesLongestContextIsTheOneThatItsAttentionFactorCameFrom) {
  ModelConfig config = example(Family::kPhi3);
  config.short_factor = std::vector<double>(8, 1.25);
  config.long_factor = std::vector<double>(8, 2.5);
  config.attention_factor = static_cast<float>(std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  const ModelConfig found = read_back(config);
  EXPECT_EQ(found.max_position_embeddings, 131072);
  expect_same(found, config);
}

TEST(HfConfig, RefusesWhatConfigJsonCantSay) {
  ModelConfig config = example(Family::kLlama);
  config.short_factor = std::vector<double>(8, 1.25);
  const auto refusal = [&] {
    return nkat::testing::message_of<FormatError>([&] { hf_config_json(config, "float32", "x.gguf"); });
  };
  EXPECT_THAT(refusal(), HasSubstr("x.gguf: rope_freqs.weight"));
  config = example(Family::kPhi3);
  config.short_factor = config.long_factor = std::vector<double>(8, 1.25);
  config.attention_factor = 0.5;  // no length gives less than 1
  EXPECT_THAT(refusal(), HasSubstr("rope.scaling.attn_factor"));
  config = example(Family::kLlama);
  config.qkv_bias = true;
  EXPECT_THAT(refusal(), HasSubstr("biases"));
}

}  // namespace
}  // namespace nkat::exporting
