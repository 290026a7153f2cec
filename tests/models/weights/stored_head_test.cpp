#include "models/weights/stored_head.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

bool stores(const std::map<std::string, at::Tensor>& tensors) {
  TemporaryFolder folder;
  folder.write("model.safetensors", serialized(tensors));
  return stores_another_head(folder.path());
}

TEST(StoredHead, OnlyOneThatDiffersFromTheEmbeddingCounts) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  std::map<std::string, at::Tensor> tensors = tiny_tensors(config);
  EXPECT_FALSE(stores(tensors));
  tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight").clone();
  EXPECT_FALSE(stores(tensors));
  tensors["lm_head.weight"][49][31] += 1;
  EXPECT_TRUE(stores(tensors));
  tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight").to(at::kHalf);
  EXPECT_TRUE(stores(tensors));
}

TEST(StoredHead, AFolderWithoutWeightsHasNone) { EXPECT_FALSE(stores_another_head(TemporaryFolder().path())); }

}  // namespace
}  // namespace nkat::models
