#include "export/gguf/phi3_tensors.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "export/gguf/phi3_metadata.h"
#include "tests/support/message_of.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;

models::Phi3Config phi35() {
  models::Phi3Config config;
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

const Phi3Tensor* find(const std::vector<Phi3Tensor>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &Phi3Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

TEST(Phi3Tensors, Phi35Has197) {
  const auto tensors = phi3_tensors(phi35());
  ASSERT_EQ(tensors.size(), 197u);
  EXPECT_EQ(find(tensors, "blk.31.ffn_up.weight")->ne, (std::vector<std::uint64_t>{3072, 16384}));
  EXPECT_EQ(find(tensors, "blk.0.attn_qkv.weight")->ne, (std::vector<std::uint64_t>{3072, 9216}));
  EXPECT_EQ(find(tensors, "blk.0.ffn_down.weight")->source, "model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(find(tensors, "rope_factors_long.weight")->values, std::vector<float>(48, 2.0f));
}

TEST(Phi3Tensors, ModelsWithoutLongropeHaveNoFactorsAndTiedOnesAnOutputAllTheSame) {
  models::Phi3Config config = phi35();
  config.short_factor.clear();
  config.long_factor.clear();
  config.tie_word_embeddings = true;
  const auto tensors = phi3_tensors(config);
  EXPECT_EQ(find(tensors, "rope_factors_short.weight"), nullptr);
  EXPECT_EQ(find(tensors, "output.weight")->source, "model.embed_tokens.weight");
}

TEST(Phi3Tensors, GroupedQueriesShortenQkv) {
  models::Phi3Config config = phi35();
  config.num_key_value_heads = 8;
  EXPECT_EQ(find(phi3_tensors(config), "blk.0.attn_qkv.weight")->ne, (std::vector<std::uint64_t>{3072, 4608}));
}

void expect_refused(const models::Phi3Config& config, const std::string& word) {
  EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { require_expressible(config, "MODEL"); }), HasSubstr(word));
}

TEST(Phi3Tensors, WhatPhi3CantExpressIsRefusedByName) {
  EXPECT_NO_THROW(require_expressible(phi35(), "MODEL"));
  models::Phi3Config config = phi35();
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

TEST(Phi3Metadata, NamesMatchPhi3WhereTheTokenizerStrips) {
  EXPECT_EQ(default_name("/models/Phi-3.5-mini-instruct", true, true), "Phi-3.5-mini-instruct-nkat");
  EXPECT_EQ(default_name("/models/mine/", true, true), "phi3-mine-nkat");
  EXPECT_FALSE(names_phi3(default_name("/models/Phi-3-phi3", false, false)));
  EXPECT_FALSE(names_phi3("Phi 3.5 Mini Instruct"));
}

TEST(Phi3Metadata, NeverHoldsARopeScalingFactor) {
  const auto metadata = phi3_metadata(phi35(), {}, {"phi3", ""}, QuantizationRecipe::kF16, 4096);
  EXPECT_EQ(metadata.find("phi3.rope.scaling.factor"), nullptr);
  EXPECT_EQ(metadata.number<std::uint32_t>("phi3.attention.sliding_window"), 0u);
}

}  // namespace
}  // namespace nkat::exporting
