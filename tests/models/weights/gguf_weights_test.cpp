#include "models/weights/gguf_weights.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::models {
namespace {

using gguf::GgmlType;
using nkat::testing::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kEmbeddingName = "model.embed_tokens.weight";
const std::string kDownName = "model.layers.0.mlp.down_proj.weight";

// One layer: qkv (64, 32), down (32, 64), embedding (50, 32).
ModelConfig small_config() {
  ModelConfig config;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_layers = 1;
  config.num_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 50;
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

class GgufWeightsTest : public ::testing::Test {
 protected:
  // The model's tensors, all F32; an untied model's head is the last.
  static std::vector<gguf::GgufTensorPlan> plan() {
    std::vector<gguf::GgufTensorPlan> tensors;
    for (const TensorSpec& spec : model_tensors(small_config())) {
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
    return message_of<FormatError>([&] { GgufWeights(file, small_config()); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(GgufWeightsTest, ReadsRowsUnderTheCheckpointsNames) {
  const gguf::GgufFile file(written(plan()));
  const GgufWeights weights(file, small_config());
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
  const std::vector<float> row = rows_of(GgufWeights(file, small_config()), kDownName, 3, 1);  // blocks 6 and 7
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(row[i], 0.5F * static_cast<float>(i < 32 ? 6 + i : 7 + i - 32));
}

TEST_F(GgufWeightsTest, ATiedModelReadsItsEmbeddingWhetherOrNotTheHeadIsStored) {
  ModelConfig tied = small_config();
  tied.tie_word_embeddings = true;
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  for (int time = 0; time < 2; ++time) {
    const gguf::GgufFile file(written(tensors));
    EXPECT_EQ(rows_of(GgufWeights(file, tied), model_tensor(tied, TensorRole::kHead).name, 1, 1), counting(32, 32));
    if (time == 0) tensors.pop_back();
  }
  EXPECT_THAT(complaint(tensors), HasSubstr("base.gguf: tensor 'output.weight' is missing"));
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
  const GgufWeights weights(file, small_config());
  EXPECT_EQ(rows_of(weights, kEmbeddingName, 0, 1), counting(32, 0));
  EXPECT_THAT(message_of<FormatError>([&] { rows_of(weights, kDownName, 0, 1); }),
              HasSubstr("tensor 'blk.0.ffn_down.weight' is stored as i8, which has no decoder here"));
}

TEST_F(GgufWeightsTest, DecodesTypesThatAreNeverWritten) {
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  tensors[6].type = GgmlType::kIQ4_NL;  // blocks of zeros: a scale of zero
  const gguf::GgufFile file(written(tensors));
  EXPECT_EQ(rows_of(GgufWeights(file, small_config()), kDownName, 3, 1), std::vector<float>(64, 0.0F));
}

TEST_F(GgufWeightsTest, NamesATensorThatTheModelHasNoPlaceFor) {
  std::vector<gguf::GgufTensorPlan> tensors = plan();
  tensors.push_back({.name = "blk.0.ffn_down.scale", .ne = {1}});
  EXPECT_THAT(complaint(tensors), HasSubstr("unknown tensor 'blk.0.ffn_down.scale'"));
  tensors.back().name = "rope_factors_long.weight";  // read with the keys
  EXPECT_EQ(complaint(tensors), "");
}

// Row r of a head of the file is what the converter put there: rows (2, 4) of the checkpoint's head transposed.
TEST_F(GgufWeightsTest, TheRowsOfALlamaFilesQueriesAndKeysAreInTheCheckpointsOrder) {
  ModelConfig config = small_config();
  config.family = Family::kLlama;
  config.qkv_bias = true;
  std::vector<gguf::GgufTensorPlan> tensors;
  for (const TensorSpec& spec : model_tensors(config)) tensors.push_back({spec.gguf_name, spec.gguf_sizes()});
  const gguf::GgufFile file(written(tensors));
  const GgufWeights weights(file, config);
  const auto place = [&](const char* name) { return 10000 * static_cast<float>(file.find(name) - &file.tensors()[0]); };
  constexpr std::size_t kStoredRows[] = {0, 2, 4, 6, 1, 3, 5, 7};
  for (std::size_t row = 0; row < 32; ++row) {
    const std::size_t stored = row / 8 * 8 + kStoredRows[row % 8];
    EXPECT_EQ(rows_of(weights, "model.layers.0.self_attn.q_proj.weight", row, 1),
              counting(32, place("blk.0.attn_q.weight") + 32 * static_cast<float>(stored)));
    EXPECT_EQ(rows_of(weights, "model.layers.0.self_attn.q_proj.bias", 0, 1)[row],
              place("blk.0.attn_q.bias") + static_cast<float>(stored));
  }
  EXPECT_EQ(rows_of(weights, "model.layers.0.self_attn.k_proj.weight", 9, 1),
            counting(32, place("blk.0.attn_k.weight") + 32 * 10));
  EXPECT_EQ(rows_of(weights, "model.layers.0.self_attn.v_proj.weight", 9, 1),
            counting(32, place("blk.0.attn_v.weight") + 32 * 9));
}

}  // namespace
}  // namespace nkat::models
