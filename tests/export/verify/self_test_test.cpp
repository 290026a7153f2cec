#include "export/verify/self_test.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_reader.h"
#include "data/quantize/quantize.h"
#include "export/gguf/gguf_export.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_export.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

class SelfTestTest : public ::testing::Test {
 protected:
  std::vector<PlannedTensor> plan(QuantizationRecipe mix = QuantizationRecipe::kQ8_0) const {
    return plan_tensors(config_, mix, tied_head_);
  }
  void write(const gguf::VerifyFile& verify = {}) const {
    gguf::GgufMetadata metadata("test");
    metadata.add("general.architecture", gguf::GgufValue::string("phi3"));
    write_merged_gguf(path_, metadata, plan(), {weights_, Importance()}, verify);
  }
  SelfTest test(const fs::path& path, QuantizationRecipe mix = QuantizationRecipe::kQ8_0) const {
    return self_test_gguf(path, plan(mix), config_, weights_, options_);
  }
  SelfTest test() const { return test(path_); }
  std::string complaint(const fs::path& path, QuantizationRecipe mix = QuantizationRecipe::kQ8_0) const {
    return nkat::testing::message_of<CheckError>([&] { require_predictions(test(path, mix), options_.output); });
  }
  // Of the tensor's first number or block scale the highest bit of the exponent: a factor of 2^16 or more, or no
  // number.
  static void flip(const fs::path& path, const gguf::GgufTensor& tensor, std::uint64_t data_begin) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at =
        static_cast<std::streamoff>(data_begin + tensor.offset + (tensor.type == gguf::GgmlType::kF32 ? 3 : 1));
    file.seekg(at);
    const char byte = static_cast<char>(file.get() ^ 0x40);
    file.seekp(at);
    file.put(byte);
  }
  std::uint64_t data_begin() const {
    const std::string bytes = read_file(path_, 1 << 24);
    return gguf::parse_gguf(std::as_bytes(std::span(bytes)), "test").data_begin;
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.gguf";
  models::ModelConfig config_ = tiny_config();
  TiedHead tied_head_ = TiedHead::kLeftOut;
  std::map<std::string, at::Tensor> tensors_ = tiny_tensors(config_);
  std::vector<at::Tensor> blocks_ = tiny_blocks(config_);
  MergedWeights weights_ = tiny_merged(tensors_, blocks_);
  SelfTestOptions options_ = {
      .output = "out/x.gguf", .prompts = {random_tokens(config_, 5), random_tokens(config_, 9)}, .maximum_kl = 0.02};
};

TEST_F(SelfTestTest, PassesWhatTheExporterWrites) {
  write();
  const SelfTest found = test();
  ASSERT_EQ(found.retention.size(), 2U);
  for (const TensorRetention& one : found.retention) EXPECT_EQ(one.status(), RetentionStatus::kKept);
  ASSERT_TRUE(found.logits.has_value());
  EXPECT_EQ(found.logits->tokens, 14);
  EXPECT_GT(found.logits->base_mean_kl.value(), 10 * found.logits->mean_kl);
  options_.prompts.clear();
  EXPECT_FALSE(test().logits.has_value());
}

TEST_F(SelfTestTest, NamesTheTensorInWhichABitFlipped) {
  write();
  const gguf::GgufFile sound(path_);
  const fs::path damaged = folder_.path() / "damaged.gguf";
  for (const PlannedTensor& planned : plan()) {
    fs::copy_file(path_, damaged, fs::copy_options::overwrite_existing);
    flip(damaged, *sound.find(planned.file.name), data_begin());
    const std::string& name = planned.source ? planned.source->name : planned.file.name;
    EXPECT_THAT(complaint(damaged),
                AllOf(HasSubstr("out/x.gguf"), HasSubstr("'" + name + "'"), HasSubstr("nothing was published")));
  }
}

TEST_F(SelfTestTest, NamesATensorOfAnotherTypeAndAFileThatWasCut) {
  write();
  EXPECT_THAT(complaint(path_, QuantizationRecipe::kF16), HasSubstr("'token_embd.weight' differs from the plan"));
  fs::resize_file(path_, fs::file_size(path_) - 40);
  EXPECT_THAT(complaint(path_), HasSubstr("can't be read back"));
}

TEST_F(SelfTestTest, NoticesWeightsOfTheBaseInPlaceOfTheMergedOnes) {
  gguf::GgufMetadata metadata("test");
  metadata.add("general.architecture", gguf::GgufValue::string("phi3"));
  const MergedWeights base(std::make_unique<MemoryWeights>(tensors_), {});
  write_merged_gguf(path_, metadata, plan(), {base, Importance()});
  EXPECT_THAT(complaint(path_), HasSubstr("'model.layers.0.mlp.down_proj.weight'"));
}

TEST_F(SelfTestTest, ComparesTheMeanDivergenceWithItsBound) {
  write();
  options_.maximum_kl = 0.99 * test().logits->mean_kl;
  EXPECT_THAT(complaint(path_), AllOf(HasSubstr("nats per token"), HasSubstr("--maximum-kl")));
}

TEST_F(SelfTestTest, KeepsADamagedFileFromItsName) {
  write();
  const std::string old = read_file(path_, 1 << 24);
  const std::uint64_t begin = data_begin();
  const auto verify = [&](const fs::path& temporary) {
    const gguf::GgufTensor tensor = *gguf::GgufFile(temporary).find("blk.1.ffn_down.weight");
    flip(temporary, tensor, begin);
    test(temporary);
  };
  weights_ = tiny_merged(tensors_, tiny_blocks(config_));  // another adapter, so that the new file differs
  EXPECT_THROW(write(verify), CheckError);
  EXPECT_TRUE(read_file(path_, 1 << 24) == old);  // no message of a file's length
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SelfTestTest, ATiedModelsFileMayLeaveTheHeadOut) {
  config_.tie_word_embeddings = true;
  tensors_.erase("lm_head.weight");
  weights_ = tiny_merged(tensors_, blocks_);
  write();
  EXPECT_EQ(gguf::GgufFile(path_).find("output.weight"), nullptr);
  EXPECT_LT(test().logits->mean_kl, 0.02);
}

TEST_F(SelfTestTest, ReadsTheHeadThatATiedModelsFileHasOfItsOwn) {
  config_.tie_word_embeddings = true;
  tied_head_ = TiedHead::kWritten;
  tensors_.erase("lm_head.weight");
  weights_ = tiny_merged(tensors_, blocks_);
  write();
  EXPECT_LT(test().logits->mean_kl, 0.02);
  flip(path_, *gguf::GgufFile(path_).find("output.weight"), data_begin());
  EXPECT_THAT(complaint(path_), HasSubstr("model.embed_tokens.weight"));
}

}  // namespace

namespace {

using gguf::GgmlType;

constexpr std::size_t kLength = 512, kRows = 16;
constexpr GgmlType kTypes[] = {GgmlType::kF32,  GgmlType::kF16,  GgmlType::kBF16, GgmlType::kQ8_0, GgmlType::kQ4_0,
                               GgmlType::kQ5_0, GgmlType::kQ5_1, GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K};

std::vector<float> decoded(GgmlType type, const std::vector<float>& values) {
  std::vector<std::byte> bytes(*gguf::tensor_bytes(type, values.size()));
  gguf::encode_tensor(type, {.values = values, .length = kLength, .importance = {}}, bytes);
  std::vector<float> back(values.size());
  gguf::decode_rows(type, bytes, back);
  return back;
}

double norm(const std::vector<float>& values) {
  double sum = 0;
  for (const float one : values) sum += static_cast<double>(one) * one;
  return std::sqrt(sum);
}

double distance(const std::vector<float>& left, const std::vector<float>& right) {
  std::vector<float> difference(left.size());
  for (std::size_t i = 0; i < left.size(); ++i) difference[i] = left[i] - right[i];
  return norm(difference);
}

std::vector<float> make(const std::function<double(std::size_t)>& value) {
  std::vector<float> values(kLength * kRows);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(value(i));
  return values;
}

// What each type finds hardest: one weight that fills a block's range and many half a step of its grid beside it.
std::vector<std::vector<float>> hard_tensors() {
  std::vector<std::vector<float>> all;
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::cauchy_distribution<double> wide;
  for (const double scale : {1e-8, 1e-6, 1e-4, 0.02, 1.0}) {
    all.push_back(make([&](std::size_t) { return scale * normal(random); }));
    all.push_back(make([&](std::size_t) { return scale * std::clamp(wide(random), -1e3, 1e3); }));
    all.push_back(make([&](std::size_t) { return scale; }));
    for (const double steps : {7.0, 8.0, 15.0, 16.0, 31.0, 32.0, 127.0}) {
      for (const std::size_t every : {16U, 32U, 256U}) {
        all.push_back(
            make([&](std::size_t i) { return scale * (i % every == 5 ? 1 : (i % 2 == 0 ? 0.499 : -0.499) / steps); }));
      }
    }
  }
  return all;
}

TEST(RoundingLimit, IsPassedByNothingThatWasOnlyRounded) {
  for (const std::vector<float>& values : hard_tensors()) {
    for (const GgmlType type : kTypes) {
      const double found = distance(decoded(type, values), values);
      EXPECT_LE(found, quantization_error_bound(type, norm(values), values.size()))
          << gguf::traits(type).name << ", values like " << values[0] << ", " << values[1];
    }
  }
}

TEST(RoundingLimit, IsPassedByZerosAndAnotherTensor) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal(0, 0.02);
  const std::vector<float> values = make([&](std::size_t) { return normal(random); });
  const std::vector<float> other = make([&](std::size_t) { return normal(random); });
  for (const GgmlType type : kTypes) {
    const double limit = quantization_error_bound(type, norm(values), values.size());
    EXPECT_GT(norm(values), limit) << gguf::traits(type).name;
    EXPECT_GT(distance(decoded(type, other), values), limit) << gguf::traits(type).name;
  }
}

}  // namespace

}  // namespace nkat::exporting
