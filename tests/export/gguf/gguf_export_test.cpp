#include "export/gguf/gguf_export.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_reader.h"
#include "data/quantize/quantize.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_export.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GgufExport : public ::testing::Test {
 protected:
  void write(QuantizationRecipe recipe, const Importance& importance = {}, const gguf::VerifyFile& verify = {}) const {
    gguf::GgufMetadata metadata("test");
    metadata.add("general.architecture", gguf::GgufValue::string("phi3"));
    write_merged_gguf(path_, metadata, plan_tensors(config_, recipe), {weights_, importance}, verify);
  }
  // The tensor's bytes as the merged weights encode to, in one piece.
  std::vector<std::byte> encoded(const PlannedTensor& planned) const {
    const models::MatrixShape shape = planned.source->matrix();
    std::vector<float> values(shape.elements());
    weights_.read(planned.source->name, 0, values);
    std::vector<std::byte> bytes(*gguf::tensor_bytes(planned.file.type, values.size()));
    gguf::encode_tensor(planned.file.type,
                        {.values = values, .length = static_cast<std::int64_t>(shape.columns), .importance = {}},
                        bytes);
    return bytes;
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.gguf";
  models::ModelConfig config_ = tiny_config();
  std::map<std::string, at::Tensor> tensors_ = tiny_tensors(config_);
  MergedWeights weights_ = tiny_merged(tensors_, tiny_blocks(config_));
};

TEST_F(GgufExport, WritesThePlannedTensorsInOrderWithTheEncodedMergedWeights) {
  for (const QuantizationRecipe recipe : {QuantizationRecipe::kF32, QuantizationRecipe::kQ8_0}) {
    write(recipe);
    const std::vector<PlannedTensor> plan = plan_tensors(config_, recipe);
    const gguf::GgufFile file(path_);
    ASSERT_EQ(file.tensors().size(), plan.size());
    for (std::size_t i = 0; i < plan.size(); ++i) {
      EXPECT_TRUE(is_planned(file.tensors()[i], plan[i])) << plan[i].file.name;
      if (!plan[i].source) continue;
      EXPECT_TRUE(std::ranges::equal(file.bytes(file.tensors()[i]), encoded(plan[i]))) << plan[i].file.name;
    }
  }
}

TEST_F(GgufExport, WritesTheRopeFactorsOfTheConfig) {
  write(QuantizationRecipe::kQ8_0);
  const gguf::GgufFile file(path_);
  const std::vector<float> expected(config_.long_factor.begin(), config_.long_factor.end());
  EXPECT_TRUE(
      std::ranges::equal(file.bytes(*file.find("rope_factors_long.weight")), std::as_bytes(std::span(expected))));
}

// Rows of 32 fit 32-blocks and no super-block; the 40 of ffn_down fit neither.
TEST_F(GgufExport, RowsThatFitNoBlockFallBackAndTheLinesCountThem) {
  const std::vector<PlannedTensor> plan = plan_tensors(config_, QuantizationRecipe::kQ6_K);
  EXPECT_THAT(
      fallbacks(plan),
      ElementsAre("attn_output.weight: q6_K as q8_0, rows of 32 (2)", "attn_qkv.weight: q6_K as q8_0, rows of 32 (2)",
                  "ffn_down.weight: q6_K as f16, rows of 40 (2)", "ffn_up.weight: q6_K as q8_0, rows of 32 (2)",
                  "output.weight: q6_K as q8_0, rows of 32 (1)", "token_embd.weight: q6_K as q8_0, rows of 32 (1)"));
  EXPECT_THAT(fallbacks(plan_tensors(config_, QuantizationRecipe::kF16)), ElementsAre());
}

TEST_F(GgufExport, AnImportanceChangesTheTensorsItWasMeasuredFor) {
  write(QuantizationRecipe::kQ4_0);
  const gguf::GgufFile plain(path_);
  const std::string name = "model.layers.1.self_attn.qkv_proj.weight";
  std::vector<double> moments(32, 1.0);
  moments[3] = 1000;
  const fs::path other = folder_.path() / "weighted.gguf";
  write_merged_gguf(other, plain.metadata(), plan_tensors(config_, QuantizationRecipe::kQ4_0),
                    {weights_, Importance({{name, moments}}, 1, "")});
  const gguf::GgufFile weighted(other);
  for (const gguf::GgufTensor& tensor : plain.tensors()) {
    const bool same = std::ranges::equal(plain.bytes(tensor), weighted.bytes(*weighted.find(tensor.name)));
    EXPECT_EQ(same, tensor.name != "blk.1.attn_qkv.weight") << tensor.name;
  }
}

TEST_F(GgufExport, NamesTheTensorWhoseWeightsAreNotFiniteAndLeavesNoFile) {
  tensors_["model.layers.1.self_attn.o_proj.weight"][2][5] = std::numeric_limits<float>::infinity();
  weights_ = tiny_merged(tensors_, {});
  try {
    write(QuantizationRecipe::kQ8_0);
    FAIL() << "nothing was refused";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'model.layers.1.self_attn.o_proj.weight' from row 0 on"));
  }
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(GgufExport, AFileThatVerificationRefusesIsNotPublished) {
  const auto refuse = [](const fs::path& written) {
    EXPECT_EQ(gguf::GgufFile(written).tensors().size(), 17u);
    throw CheckError("refused");
  };
  EXPECT_THROW(write(QuantizationRecipe::kQ8_0, {}, refuse), CheckError);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

}  // namespace
}  // namespace nkat::exporting
