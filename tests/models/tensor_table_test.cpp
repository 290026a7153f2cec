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

}  // namespace
}  // namespace nkat::models
