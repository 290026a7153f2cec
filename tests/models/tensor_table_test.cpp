#include "models/tensor_table.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/phi35.h"

namespace nkat::models {
namespace {

using testing::phi35;

TEST(TensorTable, GiveEachTensorOnceInForwardOrder) {
  const std::vector<TensorSpec> tensors = model_tensors(phi35());
  ASSERT_EQ(tensors.size(), 3u + 6u * 32u);
  EXPECT_EQ(tensors.front().name, "model.embed_tokens.weight");
  EXPECT_EQ(tensors[1].name, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(tensors[6].gguf_name, "blk.0.ffn_down.weight");
  EXPECT_EQ(tensors[7].layer, 1);
  EXPECT_EQ(tensors.back().name, "lm_head.weight");
  std::set<std::string> names, gguf_names;
  for (const TensorSpec& tensor : tensors) {
    names.insert(tensor.name);
    gguf_names.insert(tensor.gguf_name);
  }
  EXPECT_EQ(names.size(), tensors.size());
  EXPECT_EQ(gguf_names.size(), tensors.size());
}

TEST(TensorTable, HaveTheShapesOfTheConfigAndTheirTransposesInGguf) {
  ModelConfig config = phi35();
  config.num_key_value_heads = 8;
  const TensorSpec qkv = model_tensor(config, TensorRole::kQkv, 31);
  EXPECT_EQ(qkv.shape, (std::vector<std::int64_t>{4608, 3072}));
  EXPECT_EQ(qkv.gguf_sizes(), (std::vector<std::uint64_t>{3072, 4608}));
  EXPECT_EQ(qkv.matrix().rows, 4608u);
  EXPECT_EQ(model_tensor(config, TensorRole::kFinalNorm).matrix().rows, 1u);
  EXPECT_EQ(model_tensor(config, TensorRole::kFinalNorm).matrix().columns, 3072u);
}

TEST(TensorTable, ATiedHeadIsTheEmbeddingAndNotInTheCheckpoint) {
  ModelConfig config = phi35();
  EXPECT_EQ(checkpoint_tensors(config).size(), model_tensors(config).size());
  config.tie_word_embeddings = true;
  const TensorSpec head = model_tensor(config, TensorRole::kHead);
  EXPECT_TRUE(head.is_tied);
  EXPECT_EQ(head.name, "model.embed_tokens.weight");
  EXPECT_EQ(head.gguf_name, "output.weight");
  EXPECT_EQ(checkpoint_tensors(config).back().role, TensorRole::kFinalNorm);
}

TEST(TensorTable, FourMatricesOfALayerAreHeldInAFormat) {
  std::vector<TensorRole> roles;
  for (const TensorSpec& tensor : layer_matrices(phi35())) roles.push_back(tensor.role);
  EXPECT_EQ(roles,
            (std::vector{TensorRole::kQkv, TensorRole::kAttentionOutput, TensorRole::kGateUp, TensorRole::kDown}));
  EXPECT_FALSE(model_tensor(phi35(), TensorRole::kHead).is_layer_matrix());
}

ModelConfig llama() {
  ModelConfig config = phi35();
  config.family = Family::kLlama;
  config.num_key_value_heads = 8;
  config.short_factor.clear();
  config.long_factor.clear();
  return config;
}

TEST(TensorTable, PartsThatAreStoredApartAreStackedForTheDecoder) {
  const TensorSpec qkv = model_tensor(llama(), TensorRole::kQkv, 3);
  EXPECT_EQ(qkv.shape, (std::vector<std::int64_t>{4608, 3072}));
  EXPECT_EQ(qkv.name, "");
  ASSERT_EQ(qkv.parts.size(), 3u);
  EXPECT_EQ(qkv.parts[0].name, "model.layers.3.self_attn.q_proj.weight");
  EXPECT_EQ(qkv.parts[1].gguf_name, "blk.3.attn_k.weight");
  EXPECT_EQ(qkv.parts[1].shape, (std::vector<std::int64_t>{768, 3072}));
  EXPECT_EQ(model_tensor(llama(), TensorRole::kGateUp, 3).parts[1].part, TensorPart::kUp);
  EXPECT_EQ(model_tensors(llama()).size(), 3u + 9u * 32u);
  EXPECT_EQ(layer_tensors(llama(), 0).size(), 6u);
  EXPECT_EQ(layer_matrices(llama()).size(), 4u);
  const TensorSpec down = model_tensor(llama(), TensorRole::kDown, 3);
  EXPECT_EQ(down.stored().front().name, down.name);
}

TEST(TensorTable, BiasesAndNormsOfHeadsAreThereWhereTheConfigHasThem) {
  ModelConfig config = llama();
  EXPECT_FALSE(down_bias(config, 3).has_value());
  config.qkv_bias = config.output_bias = config.mlp_bias = config.head_norms = true;
  EXPECT_EQ(model_tensors(config).size(), 3u + 18u * 32u);
  EXPECT_EQ(layer_tensors(config, 0).size(), 12u);
  EXPECT_EQ(down_bias(config, 3)->name, "model.layers.3.mlp.down_proj.bias");
  EXPECT_EQ(model_tensor(config, TensorRole::kQueryNorm, 0).shape, (std::vector<std::int64_t>{96}));
  EXPECT_EQ(layer_matrices(config).size(), 4u);
}

TEST(TensorTable, AGgufFilesRowsAreFoundBothWays) {
  const TensorSpec key = model_tensor(llama(), TensorRole::kQkv, 0).parts[1];
  EXPECT_EQ(key.gguf_paired_heads, 8);
  EXPECT_EQ(key.gguf_row(0), 0u);
  EXPECT_EQ(key.gguf_row(1), 2u);
  EXPECT_EQ(key.gguf_row(48), 1u);
  EXPECT_EQ(key.gguf_row(96 + 49), 96u + 3u);
  for (std::size_t row = 0; row < 768; ++row) EXPECT_EQ(key.checkpoint_row(key.gguf_row(row)), row);
  const TensorSpec value = model_tensor(llama(), TensorRole::kQkv, 0).parts[2];
  EXPECT_EQ(value.gguf_row(17), 17u);
}

}  // namespace
}  // namespace nkat::models
