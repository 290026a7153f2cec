// Which tensors get weights, and what becomes of silent columns and of numbers that are none.
#include "export/imatrix/importance.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_model.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;

const std::string kQkv = "model.layers.0.self_attn.qkv_proj.weight";

models::TensorSpec tensor_of(const std::string& name) {
  return {.role = models::TensorRole::kQkv, .kind = models::TensorKind::kMatrix, .name = name};
}

TEST(Importance, IsTheMomentsOfTheColumns) {
  const Importance importance({{kQkv, {0.5, 2.0, 1.0}}}, 7, "hash");
  const auto weights = importance.of(tensor_of(kQkv));
  EXPECT_EQ(std::vector<float>(weights.begin(), weights.end()), (std::vector<float>{0.5f, 2.0f, 1.0f}));
  EXPECT_EQ(importance.tokens(), 7);
}

// 1e-4 of the mean, 2.
TEST(Importance, GivesSilentColumnsTheFloor) {
  const Importance importance({{kQkv, {0.0, 4.0}}}, 1, "");
  EXPECT_FLOAT_EQ(importance.of(tensor_of(kQkv))[0], 2e-4F);
  EXPECT_EQ(importance.of(tensor_of(kQkv))[1], 4.0f);
}

TEST(Importance, WeighsAMatrixWithoutAnyInputEvenly) {
  const Importance importance({{kQkv, {0.0, 0.0}}}, 1, "");
  EXPECT_EQ(importance.of(tensor_of(kQkv))[0], 1.0f);
  EXPECT_EQ(importance.of(tensor_of(kQkv))[1], 1.0f);
}

// A tied model's head is the embedding's tensor: only its second use is a matrix product.
TEST(Importance, WeighsATiedHeadAndNotTheEmbedding) {
  models::ModelConfig config = testing::tiny_config();
  config.tie_word_embeddings = true;
  const std::string embedding = "model.embed_tokens.weight";
  const Importance importance({{embedding, std::vector<double>(32, 1.0)}}, 1, "");
  for (const models::TensorSpec& tensor : models::model_tensors(config))
    EXPECT_EQ(importance.of(tensor).size(), tensor.gguf_name == "output.weight" ? 32U : 0U) << tensor.gguf_name;
}

TEST(Importance, WeighsNothingWhereNothingWasMeasured) {
  EXPECT_TRUE(Importance().of(tensor_of(kQkv)).empty());
  EXPECT_EQ(Importance().tokens(), 0);
}

TEST(Importance, RefusesActivationsThatAreNotFinite) {
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(), 1e39}) {
    const std::string message = nkat::testing::message_of<DataError>([&] {
      const Importance importance({{kQkv, {1.0, bad}}}, 1, "");
    });
    EXPECT_THAT(message, HasSubstr(kQkv)) << bad;
    EXPECT_THAT(message, HasSubstr("column 1")) << bad;
  }
}

}  // namespace
}  // namespace nkat::exporting
