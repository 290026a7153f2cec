#include "models/weights/weight_source.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "data/quantize/quantize.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using data::DType;
using gguf::GgmlType;
using nkat::testing::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

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

TEST_F(SafetensorsWeightsTest, AVectorIsOneRow) {
  const SafetensorsWeights weights = stored_as(DType::kF32, GgmlType::kF32);
  EXPECT_EQ(weights.shape("model.norm.weight").rows, 1U);
  EXPECT_EQ(weights.shape("model.norm.weight").columns, 32U);
  EXPECT_EQ(weights.shape(kDownName).rows, 32U);
  EXPECT_EQ(weights.shape(kDownName).columns, 64U);
  EXPECT_EQ(rows_of(weights, "model.norm.weight", 0, 1), counting(32, 0));
}

class GgufWeightsTest : public ::testing::Test {
 protected:
  // The model's tensors, all F32; an untied model's head is the last.
  static std::vector<gguf::GgufTensorPlan> plan() {
    std::vector<gguf::GgufTensorPlan> tensors;
    for (const TensorSpec& spec : model_tensors(small_config(50))) {
      tensors.push_back({.name = spec.gguf_name, .ne = spec.gguf_sizes()});
    }
    return tensors;
  }
  // F32: the k-th tensor counts from 10000 k. Q8_0: block b has the scale 0.5 and counts from b. Others hold zeros.
  fs::path written(const std::vector<gguf::GgufTensorPlan>& tensors) const {
    gguf::GgufMetadata metadata("test");
    metadata.add("general.architecture", gguf::GgufValue::string("phi3"));
    float place = 0;
    const fs::path path = folder_.path() / "base.gguf";
    write_gguf(path, metadata, tensors, [&](const gguf::GgufTensor& tensor, const gguf::AppendBytes& append) {
      std::vector<std::byte> bytes(tensor.bytes);
      if (tensor.type == GgmlType::kF32) {
        const std::vector<float> values = counting(tensor.elements(), 10000 * place);
        std::memcpy(bytes.data(), values.data(), bytes.size());
      } else if (tensor.type == GgmlType::kQ8_0) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
          const std::size_t block = i / 34, inside = i % 34;
          bytes[i] = static_cast<std::byte>(inside == 0 ? 0x00 : inside == 1 ? 0x38 : block + inside - 2);
        }
      }
      append(bytes);
      ++place;
    });
    return path;
  }
  std::string complaint(const std::vector<gguf::GgufTensorPlan>& tensors) const {
    const gguf::GgufFile file(written(tensors));
    return message_of<FormatError>([&] { GgufWeights(file, small_config(50)); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(GgufWeightsTest, ReadsRowsUnderTheCheckpointsNames) {
  const gguf::GgufFile file(written(plan()));
  const GgufWeights weights(file, small_config(50));
  EXPECT_EQ(weights.stored(kDownName).name, "blk.0.ffn_down.weight");
  EXPECT_EQ(weights.shape(kDownName).rows, 32U);
  EXPECT_EQ(weights.shape(kDownName).columns, 64U);
  EXPECT_EQ(rows_of(weights, kDownName, 2, 3), counting(3 * 64, 60000 + 2 * 64));
  weights.release(kDownName);
  EXPECT_EQ(rows_of(weights, kDownName, 31, 1), counting(64, 60000 + 31 * 64));
  EXPECT_EQ(weights.shape("model.norm.weight").rows, 1U);
  EXPECT_EQ(rows_of(weights, "lm_head.weight", 0, 1), counting(32, 80000));
}

TEST_F(GgufWeightsTest, DecodesQuantizedRows) {
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  tensors[6].type = GgmlType::kQ8_0;
  const gguf::GgufFile file(written(tensors));
  const std::vector<float> row = rows_of(GgufWeights(file, small_config(50)), kDownName, 3, 1);  // blocks 6 and 7
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(row[i], 0.5F * static_cast<float>(i < 32 ? 6 + i : 7 + i - 32));
}

TEST_F(GgufWeightsTest, ATiedModelReadsItsEmbeddingWhetherOrNotTheHeadIsStored) {
  ModelConfig tied = small_config(50);
  tied.tie_word_embeddings = true;
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  for (int time = 0; time < 2; ++time) {
    const gguf::GgufFile file(written(tensors));
    EXPECT_EQ(rows_of(GgufWeights(file, tied), model_tensor(tied, TensorRole::kHead).name, 1, 1), counting(32, 32));
    if (time == 0) tensors.pop_back();
  }
  EXPECT_THAT(complaint(tensors), HasSubstr("base.gguf: tensor 'output.weight' is missing"));
}

// A Llama file holds the two halves of a query head's rows alternately.
TEST_F(GgufWeightsTest, RowsOfALlamaFileComeInTheCheckpointsOrder) {
  ModelConfig llama = small_config(50);
  llama.family = Family::kLlama;
  llama.qkv_bias = true;
  std::vector<gguf::GgufTensorPlan> tensors;
  for (const TensorSpec& spec : model_tensors(llama)) tensors.push_back({.name = spec.gguf_name, .ne = spec.gguf_sizes()});
  const gguf::GgufFile file(written(tensors));
  const GgufWeights weights(file, llama);
  const std::vector<float> rows = rows_of(weights, "model.layers.0.self_attn.q_proj.weight", 8, 8);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(rows[32 * i], 20000 + 32 * (8 + 2 * (i % 4) + i / 4)) << i;
  const std::vector<float> bias = rows_of(weights, "model.layers.0.self_attn.k_proj.bias", 0, 1);
  EXPECT_EQ(bias[9] - bias[8], 2);
  EXPECT_EQ(bias[12] - bias[8], 1);
}

TEST_F(GgufWeightsTest, NamesATensorOfOtherSizes) {
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  std::swap(tensors[2].ne[0], tensors[2].ne[1]);
  EXPECT_THAT(complaint(tensors), AllOf(HasSubstr("tensor 'blk.0.attn_qkv.weight'"),
                                        HasSubstr("expected sizes [32, 64, 1, 1], found [64, 32, 1, 1]")));
}

TEST_F(GgufWeightsTest, NamesATypeWithoutADecoderWhenItsTensorIsRead) {
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  tensors[6].type = GgmlType::kI8;
  const gguf::GgufFile file(written(tensors));
  const GgufWeights weights(file, small_config(50));
  EXPECT_EQ(rows_of(weights, kEmbeddingName, 0, 1), counting(32, 0));
  EXPECT_THAT(message_of<FormatError>([&] { rows_of(weights, kDownName, 0, 1); }),
              HasSubstr("tensor 'blk.0.ffn_down.weight' is stored as i8, which has no decoder here"));
}

}  // namespace
}  // namespace nkat::models
