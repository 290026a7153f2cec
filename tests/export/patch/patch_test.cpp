#include "export/patch/patch.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "export/patch/patch_report.h"
#include "models/weights/gguf_weights.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_model.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;
using gguf::GgufFile;
using gguf::GgufValue;
using ::testing::HasSubstr;

// Tied, with an embedding of 24 MiB: copied in two pieces.
models::ModelConfig large_vocabulary() {
  models::ModelConfig config = nkat::testing::tiny_config();
  config.vocab_size = 192 << 10;
  config.tie_word_embeddings = true;
  return config;
}

// Element i of every tensor is i/1000, which repeats in no piece.
void write_base(const fs::path& path, const models::ModelConfig& config) {
  gguf::GgufMetadata metadata("test");
  metadata.add("nkat.version", GgufValue::string("of another release"));
  metadata.add("general.file_type", GgufValue::number<std::uint32_t>(0));
  metadata.add("some.flag", GgufValue::number(true));
  metadata.add("general.architecture", GgufValue::string("phi3"));
  metadata.add("phi3.context_length", GgufValue::number<std::uint32_t>(64));
  std::vector<gguf::GgufTensorPlan> plan;
  for (const PlannedTensor& planned : plan_tensors(config, QuantizationRecipe::kF32)) {
    if (!planned.source || !planned.source->is_tied) plan.push_back(planned.file);
  }
  gguf::write_gguf(path, metadata, plan, [](const gguf::GgufTensor& tensor, const auto& append) {
    std::vector<float> values(tensor.elements());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 1000;
    append(std::as_bytes(std::span(values)));
  });
}

// The first layer has no adapter, the second one turns each block around: M = -I.
PatchSource source_of(const GgufFile& base, const models::ModelConfig& config) {
  std::vector<float> turned(static_cast<std::size_t>(config.hidden_size) * 8);
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = i % 64 % 9 == 0 ? -1.0F : 0.0F;
  return {.config = config,
          .provenance = {.base_sha256 = "", .adapter_sha256 = "abc", .first_layer = 1, .gates = {0.5F}},
          .weights = MergedWeights(std::make_unique<models::GgufWeights>(base, config),
                                   {{"model.layers.1.mlp.down_proj.weight", turned}}),
          .merged_from = kMergedFromFile,
          .paired_by = "nothing"};
}

class PatchTest : public ::testing::Test {
 protected:
  PatchTest() { write_base(path("base"), config_); }
  fs::path path(const char* name) const { return folder_.path() / name; }
  // One bit of the tensor's byte at this place, in the patched file.
  void flip(const char* tensor, std::uint64_t at) const {
    const GgufFile file(path("patched"));
    const gguf::GgufTensor& last = file.tensors().back();
    const std::uint64_t data_begin = file.size() - (last.offset + last.bytes);  // sizes here need no padding
    const auto place = static_cast<std::streamoff>(data_begin + file.find(tensor)->offset + at);
    std::fstream stream(path("patched"), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(place);
    const int byte = stream.get();
    stream.seekp(place);
    stream.put(static_cast<char>(byte ^ 64));
  }
  std::string complaint(const Patch& patch) const {
    return nkat::testing::message_of<CheckError>(
        [&] { self_test_patch(path("patched"), patch, {.output = "patched.gguf"}); });
  }
  const models::ModelConfig config_ = large_vocabulary();
  const nkat::testing::TemporaryFolder folder_;
};

TEST_F(PatchTest, ReplacesWhatTheAdapterChangesAndCopiesTheRest) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const Patch patch = plan_patch(base, source, std::nullopt);
  write_patch(path("patched"), patch);
  const auto retention = self_test_patch(path("patched"), patch, {.output = "patched.gguf"}).retention;
  ASSERT_EQ(retention.size(), 1u);
  EXPECT_EQ(retention[0].layer, 1);
  EXPECT_EQ(retention[0].error, 0);
  EXPECT_NEAR(retention[0].change, 2, 1e-12);  // |-W - W| / |W|
  const GgufFile patched(path("patched"));
  for (const gguf::GgufTensor& tensor : base.tensors()) {
    const bool same = std::ranges::equal(base.bytes(tensor), patched.bytes(*patched.find(tensor.name)));
    EXPECT_EQ(same, tensor.name != "blk.1.ffn_down.weight") << tensor.name;
  }
}

TEST_F(PatchTest, PutsAnotherNameInThePlaceOfTheFiles) {
  const GgufFile base(path("base"));
  PatchSource source = source_of(base, config_);
  EXPECT_EQ(plan_patch(base, source, std::nullopt).metadata.find("general.name"), nullptr);
  source.general_name = "phi-3 mine";
  const Patch named = plan_patch(base, source, std::nullopt);
  EXPECT_EQ(named.metadata.string("general.name"), "phi-3 mine");
  write_patch(path("named"), named);
  const GgufFile written(path("named"));
  PatchSource again = source_of(written, config_);
  const Patch kept = plan_patch(written, again, std::nullopt);
  again.general_name = "phi-3 other";
  const Patch renamed = plan_patch(written, again, std::nullopt);
  EXPECT_EQ(renamed.metadata.string("general.name"), "phi-3 other");
  EXPECT_EQ(kept.metadata.string("general.name"), "phi-3 mine");
  for (std::size_t i = 0; i < kept.metadata.pairs().size(); ++i)
    EXPECT_EQ(renamed.metadata.pairs()[i].first, kept.metadata.pairs()[i].first);
}

TEST_F(PatchTest, KeepsMetadataButForItsOwnKeys) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const gguf::GgufMetadata metadata = plan_patch(base, source, GgmlType::kQ8_0).metadata;
  EXPECT_EQ(metadata.pairs()[0].first, "general.file_type");
  EXPECT_EQ(metadata.number<std::uint32_t>("general.file_type"), 0u);
  EXPECT_TRUE(metadata.number<bool>("some.flag"));
  EXPECT_NE(metadata.string("nkat.version"), "of another release");
  EXPECT_EQ(metadata.string("nkat.merged_from"), "file");
  EXPECT_EQ(metadata.string("nkat.adapter.sha256"), "abc");
  EXPECT_EQ(metadata.find("nkat.base_sha256"), nullptr);  // not known
}

TEST_F(PatchTest, ATypeThatDoesNotFitTheRowsFallsBack) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const Patch patch = plan_patch(base, source, GgmlType::kQ4_K);
  EXPECT_THAT(fallbacks(patch.plan), ::testing::ElementsAre("ffn_down.weight: q4_K as f16, rows of 40 (1)"));
}

TEST_F(PatchTest, TheSelfTestFindsOneWrongBit) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const Patch patch = plan_patch(base, source, std::nullopt);
  const std::uint64_t second_piece = std::uint64_t{20} << 20;
  struct Flip {
    const char* tensor;
    std::uint64_t at;
    const char* named;
  };
  for (const auto& [tensor, at, named] : {Flip{"token_embd.weight", second_piece, "token_embd.weight"},
                                          Flip{"blk.0.ffn_down.weight", 77, "blk.0.ffn_down.weight"},
                                          Flip{"blk.1.ffn_down.weight", 77, "model.layers.1.mlp.down_proj.weight"}}) {
    write_patch(path("patched"), patch);
    ASSERT_EQ(complaint(patch), "");
    flip(tensor, at);
    EXPECT_THAT(complaint(patch), HasSubstr(named));
  }
}

TEST_F(PatchTest, AllTensorsAreEncodedAnewByARecipe) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const Patch patch = plan_anew(base, source, QuantizationRecipe::kQ8_0);
  EXPECT_EQ(patch.metadata.number<std::uint32_t>("general.file_type"), 7u);
  EXPECT_TRUE(patch.metadata.number<bool>("some.flag"));
  write_patch(path("patched"), patch);
  EXPECT_EQ(self_test_patch(path("patched"), patch, {.output = "patched.gguf"}).retention.size(), 2u);
  const GgufFile patched(path("patched"));
  EXPECT_EQ(patched.tensors().size(), base.tensors().size());  // no head of a tied model
  EXPECT_EQ(patched.find("token_embd.weight")->type, GgmlType::kQ8_0);
  EXPECT_EQ(patched.find("blk.0.attn_norm.weight")->type, GgmlType::kF32);
  EXPECT_TRUE(std::ranges::equal(patched.bytes(*patched.find("rope_factors_long.weight")),
                                 base.bytes(*base.find("rope_factors_long.weight"))));
  EXPECT_FALSE(report_of(patch).rounded_twice);  // the base is F32
}

// The same model with matrices in Q4_0, whose rows are all whole blocks.
class QuantizedPatchTest : public ::testing::Test {
 protected:
  QuantizedPatchTest() {
    config_.intermediate_size = 64;
    nkat::testing::write_tiny_gguf(path("base"), config_, nkat::testing::tiny_tensors(config_), GgmlType::kQ4_0);
  }
  fs::path path(const char* name) const { return folder_.path() / name; }
  const nkat::testing::TemporaryFolder folder_;
  models::ModelConfig config_ = nkat::testing::tiny_config();
};

TEST_F(QuantizedPatchTest, AChangedTensorGetsAFinerTypeAndTheOthersKeepTheirBytes) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  const Patch patch = plan_finer_patch(base, source, {});
  write_patch(path("patched"), patch);
  SelfTestOptions judged{.output = "patched.gguf"};
  const auto retention = self_test_patch(path("patched"), patch, judged).retention;
  ASSERT_EQ(retention.size(), 1u);
  EXPECT_EQ(retention[0].status(), RetentionStatus::kKept);
  const GgufFile patched(path("patched"));
  for (const gguf::GgufTensor& tensor : base.tensors()) {
    const bool is_changed = tensor.name == "blk.1.ffn_down.weight";
    EXPECT_EQ(patched.find(tensor.name)->type, is_changed ? GgmlType::kQ5_1 : tensor.type) << tensor.name;
    if (!is_changed) {
      EXPECT_TRUE(std::ranges::equal(base.bytes(tensor), patched.bytes(*patched.find(tensor.name)))) << tensor.name;
    }
  }
  const PatchReport report = report_of(patch);
  EXPECT_THAT(report.replaced, ::testing::ElementsAre("ffn_down.weight: q4_0 to q5_1 (1)"));
  EXPECT_FALSE(report.rounded_twice);
}

TEST_F(QuantizedPatchTest, EncodedAnewItIsRoundedTwice) {
  const GgufFile base(path("base"));
  const PatchSource source = source_of(base, config_);
  EXPECT_TRUE(report_of(plan_anew(base, source, QuantizationRecipe::kQ8_0)).rounded_twice);
}

}  // namespace
}  // namespace nkat::exporting
