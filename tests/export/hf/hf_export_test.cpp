#include "export/hf/hf_export.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;
using nkat::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// Elements in forward order: embedding 80, norm 8, qkv 192, o 64, norm 8, gate and up 256, down 128, norm 8, head 80.
models::ModelConfig one_layer() {
  models::ModelConfig config;
  config.hidden_size = config.head_dim = config.rotary_dim = 8;
  config.intermediate_size = 16;
  config.num_layers = config.num_heads = config.num_key_value_heads = 1;
  config.vocab_size = 10;
  return config;
}
constexpr std::uint64_t kElements = 824, kMiB = 1 << 20;

// Element i of the n-th tensor is (i + 7 n) mod 251, which every type holds exactly.
class NumberedWeights final : public models::WeightSource {
 public:
  models::MatrixShape shape(const std::string& tensor) const override {
    return tensors_.at(number_of(tensor)).matrix();
  }
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override {
    const std::size_t first = first_row * shape(tensor).columns + 7 * number_of(tensor);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>((first + i) % 251);
    if (tensor == infinite) out.back() = std::numeric_limits<float>::infinity();
  }
  void release(const std::string&) const override {}

  std::string infinite;  // the name of a tensor whose last element is

 private:
  std::size_t number_of(const std::string& tensor) const {
    return static_cast<std::size_t>(std::ranges::find(tensors_, tensor, &models::TensorSpec::name) - tensors_.begin());
  }
  const std::vector<models::TensorSpec> tensors_ = models::checkpoint_tensors(one_layer());
};

class HfExportTest : public ::testing::Test {
 protected:
  HfExportTest() {
    fs::create_directory(folder_.path() / "model");
    write_model("config.json", "{}");
  }
  void write_model(const std::string& name, std::string_view bytes) const { folder_.write("model/" + name, bytes); }
  void write(GgmlType type, std::uint64_t shard_bytes = kMiB) const {
    AtomicFolder folder(out_);
    write_merged_folder(folder, {folder_.path() / "model", type, shard_bytes}, config_, weights_);
    folder.publish();
  }
  std::string text(const char* name) const { return read_file(out_ / name, kMiB); }
  Json config_after(const char* before, GgmlType type) const {
    write_model("config.json", before);
    write(type);
    return Json::parse(text("config.json"));
  }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& file : fs::directory_iterator(out_)) all.insert(file.path().filename().string());
    return all;
  }
  // Bytes of data in each safetensors file, in the order of their names; the values are checked.
  std::vector<std::uint64_t> data_sizes() const {
    const models::SafetensorsWeights written(out_, config_);
    for (const models::TensorSpec& tensor : models::checkpoint_tensors(config_)) {
      std::vector<float> found(tensor.matrix().elements()), wanted(found.size());
      written.read(tensor.name, 0, found);
      weights_.read(tensor.name, 0, wanted);
      EXPECT_EQ(found, wanted) << tensor.name;
    }
    std::vector<std::uint64_t> sizes;
    const data::SafetensorsFolder folder(out_);
    for (const fs::path& path : folder.files()) sizes.push_back(data::SafetensorsFile(path).tensors().back().end);
    return sizes;
  }

  const nkat::testing::TemporaryFolder folder_;
  const fs::path out_ = folder_.path() / "out";
  models::ModelConfig config_ = one_layer();
  NumberedWeights weights_;
};

TEST_F(HfExportTest, EachTypeHoldsTheWeightsInTheOrderOfTheirNames) {
  for (const auto& [type, stored, size] : {std::tuple{GgmlType::kF32, data::DType::kF32, 4u},
                                           {GgmlType::kF16, data::DType::kF16, 2u},
                                           {GgmlType::kBF16, data::DType::kBF16, 2u}}) {
    write(type);
    EXPECT_THAT(data_sizes(), ElementsAre(kElements * size));
    const data::SafetensorsFile file(out_ / "model.safetensors");
    for (const data::TensorInfo& tensor : file.tensors()) EXPECT_EQ(tensor.dtype, stored) << tensor.name;
    EXPECT_TRUE(std::ranges::is_sorted(file.tensors(), {}, &data::TensorInfo::name));
    EXPECT_EQ(file.metadata().at("format"), "pt");  // transformers refuses files without it
  }
}

TEST_F(HfExportTest, ShardsAreFilledInForwardOrderUpToTheLimit) {
  write(GgmlType::kF32, 1056);  // 320 32 | 768 256 32 | 1024 | 512 32 320: the second one is exactly full
  EXPECT_THAT(data_sizes(), ElementsAre(352, 1056, 1024, 864));
  write(GgmlType::kF32, 600);  // 320 32 | 768 | 256 32 | 1024 | 512 32 | 320: larger tensors stand alone
  EXPECT_THAT(data_sizes(), ElementsAre(352, 768, 288, 1024, 544, 320));
  EXPECT_EQ(Json::parse(text("model.safetensors.index.json"))["metadata"], Json({{"total_size", 4 * kElements}}));
}

TEST_F(HfExportTest, OneFileHasNoIndexAndOneByteLessMakesTwo) {
  write(GgmlType::kF32, 4 * kElements);
  EXPECT_THAT(names(), ElementsAre("config.json", "model.safetensors"));
  write(GgmlType::kF32, 4 * kElements - 1);
  EXPECT_THAT(names(), ElementsAre("config.json", "model-00001-of-00002.safetensors",
                                   "model-00002-of-00002.safetensors", "model.safetensors.index.json"));
}

TEST_F(HfExportTest, TheConfigNamesTheStoredTypeInItsOwnSpelling) {
  EXPECT_EQ(config_after(R"({"torch_dtype": "bfloat16", "a": {"b": [1.5]}})", GgmlType::kF16),
            Json::parse(R"({"torch_dtype": "float16", "a": {"b": [1.5]}})"));
  EXPECT_EQ(config_after(R"({"dtype": "bfloat16"})", GgmlType::kF32), Json::parse(R"({"dtype": "float32"})"));
  EXPECT_EQ(config_after(R"({"torch_dtype": "float32", "dtype": "float32"})", GgmlType::kBF16),
            Json::parse(R"({"dtype": "bfloat16"})"));
  EXPECT_EQ(config_after("{}", GgmlType::kBF16), Json::parse(R"({"torch_dtype": "bfloat16"})"));
}

TEST_F(HfExportTest, TokenizerAndLicenseAreCopiedByteForByteAndNothingElse) {
  const std::string bytes("a\0\xff\r\n", 5);
  for (const char* name : {"tokenizer.model", "LICENSE", "README.md", "model.safetensors"})
    write_model(name, bytes + name);
  write(GgmlType::kF16);
  EXPECT_THAT(names(), ElementsAre("LICENSE", "config.json", "model.safetensors", "tokenizer.model"));
  EXPECT_EQ(text("tokenizer.model"), bytes + "tokenizer.model");
  EXPECT_EQ(text("LICENSE"), bytes + "LICENSE");
}

TEST_F(HfExportTest, AQuantizationThatTheWeightsNoLongerHaveIsLeftOut) {
  EXPECT_EQ(config_after(R"({"dtype": "float16", "quantization_config": {"quant_method": "bitsandbytes"}, "a": 1})",
                         GgmlType::kF16),
            Json::parse(R"({"a": 1, "dtype": "float16"})"));
  EXPECT_EQ(
      config_after(R"({"dtype": "float16", "compression_config": {}, "quantization_config": null})", GgmlType::kF32),
      Json::parse(R"({"dtype": "float32"})"));
}

TEST_F(HfExportTest, PythonFilesGoAlongWhereAConfigNamesTheirClasses) {
  for (const char* name : {"modeling_x.py", "configuration_x.py", "train.sh"}) write_model(name, name);
  write(GgmlType::kF16);
  EXPECT_THAT(names(), ElementsAre("config.json", "model.safetensors"));
  write_model("config.json", R"({"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}})");
  write(GgmlType::kF16);
  EXPECT_THAT(names(), ElementsAre("config.json", "configuration_x.py", "model.safetensors", "modeling_x.py"));
  EXPECT_EQ(text("modeling_x.py"), "modeling_x.py");
  write_model("config.json", "{}");
  write_model("tokenizer_config.json", R"({"auto_map": {"AutoTokenizer": ["configuration_x.T", null]}})");
  write(GgmlType::kF16);
  EXPECT_THAT(names(), ElementsAre("config.json", "configuration_x.py", "model.safetensors", "modeling_x.py",
                                   "tokenizer_config.json"));
}

TEST_F(HfExportTest, ATiedModelHasNoHead) {
  config_.tie_word_embeddings = true;
  write(GgmlType::kF32);
  EXPECT_THAT(data_sizes(), ElementsAre(4 * (kElements - 80)));
}

TEST_F(HfExportTest, WhatCannotBeWrittenIsNamedAndLeavesNoFolder) {
  weights_.infinite = "model.norm.weight";
  EXPECT_THAT(message_of<FormatError>([&] { write(GgmlType::kBF16); }), HasSubstr("tensor 'model.norm.weight'"));
  config_.vocab_size = std::int64_t{1} << 55;  // two tensors of an exbibyte
  EXPECT_THAT(message_of<DeviceError>([&] { write(GgmlType::kF32); }), HasSubstr("the merged weights need"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);  // the model
}

}  // namespace
}  // namespace nkat::exporting
