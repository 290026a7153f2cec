#include "export/gguf/tensor_plan.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "export/gguf/model_metadata.h"
#include "tests/support/message_of.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;

models::ModelConfig phi35() {
  models::ModelConfig config;
  config.hidden_size = 3072;
  config.intermediate_size = 8192;
  config.num_layers = 32;
  config.num_heads = config.num_key_value_heads = 32;
  config.head_dim = config.rotary_dim = 96;
  config.vocab_size = 32064;
  config.max_position_embeddings = 131072;
  config.original_max_position_embeddings = 4096;
  config.short_factor.assign(48, 1.0);
  config.long_factor.assign(48, 2.0);
  return config;
}

std::vector<PlannedTensor> plan_of(const models::ModelConfig& config) {
  return plan_tensors(config, QuantizationRecipe::kF16);
}

const PlannedTensor* find(const std::vector<PlannedTensor>& plan, const std::string& name) {
  const auto found = std::ranges::find(plan, name, [](const PlannedTensor& one) { return one.file.name; });
  return found == plan.end() ? nullptr : &*found;
}

TEST(TensorPlan, Phi35Has197) {
  const auto plan = plan_of(phi35());
  ASSERT_EQ(plan.size(), 197u);
  EXPECT_EQ(find(plan, "blk.31.ffn_up.weight")->file.ne, (std::vector<std::uint64_t>{3072, 16384}));
  EXPECT_EQ(find(plan, "blk.0.attn_qkv.weight")->file.ne, (std::vector<std::uint64_t>{3072, 9216}));
  EXPECT_EQ(find(plan, "blk.0.ffn_down.weight")->source->name, "model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(find(plan, "rope_factors_long.weight")->values, std::vector<float>(48, 2.0f));
}

TEST(TensorPlan, ModelsWithoutLongropeHaveNoFactorsAndTiedOnesAnOutputIfItIsAskedFor) {
  models::ModelConfig config = phi35();
  config.short_factor.clear();
  config.long_factor.clear();
  config.tie_word_embeddings = true;
  const auto plan = plan_of(config);
  EXPECT_EQ(find(plan, "rope_factors_short.weight"), nullptr);
  EXPECT_EQ(find(plan, "output.weight"), nullptr);
  const auto with_head = plan_tensors(config, QuantizationRecipe::kF16, TiedHead::kWritten);
  EXPECT_EQ(find(with_head, "output.weight")->source->name, "model.embed_tokens.weight");
}

// As llama-quantize: it is the head's matrix then.
TEST(TensorPlan, WithoutAHeadTheEmbeddingHasItsType) {
  models::ModelConfig config = phi35();
  EXPECT_EQ(find(plan_tensors(config, QuantizationRecipe::kQ4_K_M), "token_embd.weight")->file.type,
            gguf::GgmlType::kQ4_K);
  config.tie_word_embeddings = true;
  EXPECT_EQ(find(plan_tensors(config, QuantizationRecipe::kQ4_K_M), "token_embd.weight")->file.type,
            gguf::GgmlType::kQ6_K);
}

models::ModelConfig llama() {
  models::ModelConfig config = phi35();
  config.family = models::Family::kLlama;
  config.num_key_value_heads = 8;
  config.short_factor.clear();
  config.long_factor.clear();
  return config;
}

TEST(TensorPlan, FamiliesThatStorePartsApartHaveThemApart) {
  models::ModelConfig config = llama();
  config.qkv_bias = true;
  const auto plan = plan_tensors(config, QuantizationRecipe::kQ4_K_M);
  EXPECT_EQ(find(plan, "blk.0.attn_qkv.weight"), nullptr);
  EXPECT_EQ(find(plan, "blk.0.attn_k.weight")->file.ne, (std::vector<std::uint64_t>{3072, 768}));
  EXPECT_EQ(find(plan, "blk.0.ffn_gate.weight")->file.ne, (std::vector<std::uint64_t>{3072, 8192}));
  EXPECT_EQ(find(plan, "blk.0.attn_k.bias")->file.type, gguf::GgmlType::kF32);
  EXPECT_EQ(find(plan, "blk.0.attn_v.weight")->file.type, gguf::GgmlType::kQ6_K);
  EXPECT_EQ(find(plan, "blk.0.attn_q.weight")->file.type, gguf::GgmlType::kQ4_K);
}

// 1 below a wavelength of 8192 / 4, the factor above 8192 / 1, and numbers between them on the way.
TEST(TensorPlan, ALlama3ScalingBecomesFactors) {
  models::ModelConfig config = llama();
  config.rope_theta = 500000;
  config.head_dim = config.rotary_dim = 64;
  config.rope_scaling = {.kind = layers::RopeScaling::Kind::kLlama3,
                         .factor = 8,
                         .low_frequency = 1,
                         .high_frequency = 4,
                         .original_length = 8192};
  const auto plan = plan_of(config);
  const std::vector<float>& factors = find(plan, "rope_freqs.weight")->values;
  ASSERT_EQ(factors.size(), 32u);
  EXPECT_TRUE(std::ranges::is_sorted(factors));
  EXPECT_EQ(factors[14], 1.0F);   // 2 pi 500000^(28/64) = 1957
  EXPECT_GT(factors[15], 1.0F);   // 2949
  EXPECT_LT(factors[17], 8.0F);   // 6695
  EXPECT_EQ(factors[18], 8.0F);   // 10090
}

TEST(TensorPlan, ALlamaFileExpressesHeadsOfAnySizeAndAQwen2FileDoesNot) {
  models::ModelConfig config = llama();
  config.head_dim = config.rotary_dim = 128;
  EXPECT_NO_THROW(require_expressible(config, "MODEL"));
  config.family = models::Family::kQwen2;
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { require_expressible(config, "MODEL"); }),
              HasSubstr("MODEL: a qwen2 GGUF file: expected num_attention_heads * head_dim = hidden_size"));
}

TEST(TensorPlan, SaysWhereLlamaCppHasNoWindow) {
  models::ModelConfig config = llama();
  EXPECT_EQ(window_warning(config), "");
  config.family = models::Family::kMistral;
  config.sliding_window = 4096;
  EXPECT_THAT(window_warning(config), HasSubstr("llama has no sliding window: texts of more than 4096 tokens"));
  config.sliding_window = config.max_position_embeddings;
  EXPECT_EQ(window_warning(config), "");
}

TEST(TensorPlan, GroupedQueriesShortenQkv) {
  models::ModelConfig config = phi35();
  config.num_key_value_heads = 8;
  EXPECT_EQ(find(plan_of(config), "blk.0.attn_qkv.weight")->file.ne, (std::vector<std::uint64_t>{3072, 4608}));
}

void expect_refused(const models::ModelConfig& config, const std::string& word) {
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { require_expressible(config, "MODEL"); }), HasSubstr(word));
}

TEST(TensorPlan, WhatPhi3CantExpressIsRefusedByName) {
  EXPECT_NO_THROW(require_expressible(phi35(), "MODEL"));
  models::ModelConfig config = phi35();
  config.head_dim = 64;
  config.rotary_dim = 64;
  expect_refused(config, "head_dim");
  config = phi35();
  config.long_factor.pop_back();
  expect_refused(config, "long_factor");
  config = phi35();
  config.sliding_window = std::int64_t{1} << 33;
  expect_refused(config, "sliding_window");
}

TEST(ModelMetadata, NamesMatchPhi3WhereTheTokenizerStrips) {
  EXPECT_EQ(default_name("/models/Phi-3.5-mini-instruct", true, true), "Phi-3.5-mini-instruct-nkat");
  EXPECT_EQ(default_name("/models/mine/", true, true), "phi3-mine-nkat");
  EXPECT_FALSE(names_phi3(default_name("/models/Phi-3-phi3", false, false)));
  EXPECT_FALSE(names_phi3("Phi 3.5 Mini Instruct"));
}

TEST(ModelMetadata, NeverHoldsARopeScalingFactor) {
  const auto metadata = model_metadata(phi35(), {}, {"phi3", ""}, QuantizationRecipe::kF16, 4096);
  EXPECT_EQ(metadata.find("phi3.rope.scaling.factor"), nullptr);
  EXPECT_EQ(metadata.number<std::uint32_t>("phi3.attention.sliding_window"), 0u);
}

}  // namespace
}  // namespace nkat::exporting
