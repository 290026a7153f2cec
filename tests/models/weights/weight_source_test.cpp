#include "models/weights/weight_source.h"

#include <gtest/gtest.h>

#include "data/quantize/quantize.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using data::DType;
using gguf::GgmlType;

const std::string kEmbeddingName = "model.embed_tokens.weight";
const std::string kDownName = "model.layers.0.mlp.down_proj.weight";

// One layer: qkv (64, 32), down (32, 64), embedding (vocabulary, 32).
ModelConfig small_config(std::int64_t vocabulary) {
  ModelConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_layers = 1;
  config.num_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.vocab_size = vocabulary;
  return config;
}

std::vector<float> rows_of(const WeightSource& source, const std::string& tensor, std::size_t first,
                           std::size_t count) {
  std::vector<float> values(count * source.shape(tensor).columns);
  source.read(tensor, first, values);
  return values;
}

// The numbers from `first` on.
std::vector<float> counting(std::size_t count, float first) {
  std::vector<float> values(count);
  for (float& value : values) value = first++;
  return values;
}

// Element i of a tensor of the safetensors files; each stored type holds it exactly.
float stored_value(std::size_t i) { return static_cast<float>(i % 251); }

class SafetensorsWeightsTest : public ::testing::Test {
 protected:
  SafetensorsWeights stored_as(DType type, GgmlType encoding) const {
    std::vector<std::vector<std::byte>> bytes;
    std::vector<data::TensorToWrite> tensors;
    for (const TensorSpec& spec : checkpoint_tensors(config_)) {
      std::vector<float> values(spec.matrix().elements());
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = stored_value(i);
      bytes.emplace_back(values.size() * data::dtype_size(type));
      gguf::encode_rows(encoding, {.values = values, .length = spec.shape.back(), .importance = {}}, bytes.back());
      tensors.push_back({.name = spec.name, .dtype = type, .shape = spec.shape, .bytes = bytes.back()});
    }
    folder_.write("model.safetensors", data::serialize_safetensors(tensors, {}));
    return {folder_.path(), config_};
  }
  nkat::testing::TemporaryFolder folder_;
  ModelConfig config_ = small_config(4100);
};

// 4099 rows of 32: two whole slices of 64 Ki elements and a short one.
TEST_F(SafetensorsWeightsTest, ReadsRowsOfEachStoredTypeInSlices) {
  for (const auto& [type, encoding] :
       {std::pair{DType::kF32, GgmlType::kF32}, {DType::kF16, GgmlType::kF16}, {DType::kBF16, GgmlType::kBF16}}) {
    const SafetensorsWeights weights = stored_as(type, encoding);
    for (int time = 0; time < 2; ++time) {
      const std::vector<float> values = rows_of(weights, kEmbeddingName, 1, 4099);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < values.size(); ++i) wrong += values[i] == stored_value(32 + i) ? 0 : 1;
      EXPECT_EQ(wrong, 0U) << data::dtype_name(type);
      weights.release(kEmbeddingName);
    }
  }
}

TEST_F(SafetensorsWeightsTest, GivesTheStoredBytesOfATensor) {
  const SafetensorsWeights weights = stored_as(DType::kF16, GgmlType::kF16);
  const auto stored = weights.stored_numbers(kDownName);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->type, DType::kF16);
  EXPECT_EQ(stored->bytes.size(), 2U * 32 * 64);
}

TEST_F(SafetensorsWeightsTest, AVectorIsOneRow) {
  const SafetensorsWeights weights = stored_as(DType::kF32, GgmlType::kF32);
  EXPECT_EQ(weights.shape("model.norm.weight").rows, 1U);
  EXPECT_EQ(weights.shape("model.norm.weight").columns, 32U);
  EXPECT_EQ(weights.shape(kDownName).rows, 32U);
  EXPECT_EQ(weights.shape(kDownName).columns, 64U);
  EXPECT_EQ(rows_of(weights, "model.norm.weight", 0, 1), counting(32, 0));
}

}  // namespace
}  // namespace nkat::models
