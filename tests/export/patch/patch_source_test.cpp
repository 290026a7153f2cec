#include "export/patch/patch_source.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "export/gguf/gguf_export.h"
#include "export/merge/export_source.h"
#include "models/adapter.h"
#include "models/weights/base_fingerprint.h"
#include "tests/support/memory_weights.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_export.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;
using gguf::GgufFile;
using gguf::GgufValue;
using models::ModelConfig;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

class PatchSourceTest : public ::testing::Test {
 protected:
  PatchSourceTest() {
    ::setenv("NKAT_CACHE_DIR", "/dev/null", /*overwrite=*/1);  // no cache
    for (const char* name : {"model", "adapter"}) fs::create_directory(path(name));
  }
  ~PatchSourceTest() override { ::unsetenv("NKAT_CACHE_DIR"); }

  // With a context of 32 tokens. named_base: its nkat.base_sha256.
  void write_file(const char* named_base = nullptr) const {
    Vocabulary vocabulary;
    vocabulary.texts.resize(50);
    vocabulary.scores.resize(50);
    vocabulary.types.resize(50);
    gguf::GgufMetadata metadata = model_metadata(config_, vocabulary, {"phi3", ""}, QuantizationRecipe::kF32, 32);
    if (named_base != nullptr) metadata.add("nkat.base_sha256", GgufValue::string(named_base));
    write_merged_gguf(path("file"), metadata, plan_tensors(config_, QuantizationRecipe::kF32),
                      {MemoryWeights(tensors_), Importance()});
  }
  // With a context of 64 tokens. Returns its fingerprint.
  std::string write_model(const ModelConfig& config, const Tensors& tensors) const {
    const nlohmann::json json = {{"model_type", "phi3"},
                                 {"hidden_size", config.hidden_size},
                                 {"intermediate_size", config.intermediate_size},
                                 {"num_hidden_layers", config.num_layers},
                                 {"num_attention_heads", config.num_heads},
                                 {"num_key_value_heads", config.num_key_value_heads},
                                 {"head_dim", config.head_dim},
                                 {"partial_rotary_factor", config.rotary_dim == config.head_dim ? 1.0 : 0.5},
                                 {"vocab_size", config.vocab_size},
                                 {"max_position_embeddings", 64}};
    folder_.write("model/config.json", json.dump());
    folder_.write("model/model.safetensors", serialized(tensors));
    return models::base_sha256(path("model"));
  }
  // M = 1.5 I in layer 1: no rotation and a gate of one half.
  void write_adapter(const models::BaseFingerprint& base) const {
    const auto adapter = models::init_adapter(config_, {.first_layer = 1, .alpha = 0, .weight_std = 0});
    for (const auto& [name, bytes] : models::serialize_adapter(adapter, config_, base))
      folder_.write("adapter/" + name, bytes);
  }
  std::string file_norms() const { return models::norms_sha256(config_, MemoryWeights(tensors_)); }
  ExportOptions options(const char* model = nullptr) const {
    ExportOptions options;
    options.adapter = path("adapter").string();
    if (model != nullptr) options.model_path = path(model).string();
    return options;
  }
  template <class Expected>
  std::string refusal(const ExportOptions& options) const {
    const GgufFile file(path("file"));
    return message_of<Expected>([&] { open_patch_source(file, options); });
  }
  fs::path path(const char* name) const { return folder_.path() / name; }

  const TemporaryFolder folder_;
  const ModelConfig config_ = tiny_config();
  Tensors tensors_ = tiny_tensors(config_);
};

// 1.5 W, rounded once.
void expect_merged(const PatchSource& source, const at::Tensor& base) {
  const at::Tensor found = at::empty_like(base);
  source.weights.read(down_projection(1), 0, {found.data_ptr<float>(), static_cast<std::size_t>(found.numel())});
  EXPECT_TRUE(found.equal(1.5 * base));
}

TEST_F(PatchSourceTest, WithoutACheckpointTheFilesOwnWeightsAreMerged) {
  write_file();
  write_adapter({"tiny", "abc", file_norms()});
  const GgufFile file(path("file"));
  const PatchSource source = open_patch_source(file, options());
  EXPECT_EQ(source.merged_from, kMergedFromFile);
  EXPECT_EQ(source.paired_by, "hash of the norms");
  EXPECT_EQ(source.provenance.base_sha256, "");  // the file names none
  EXPECT_EQ(source.provenance.trained_on, "abc");
  EXPECT_FALSE(source.weights.is_changed(down_projection(0)));
  expect_merged(source, tensors_.at(down_projection(1)));
}

TEST_F(PatchSourceTest, WithACheckpointItsWeightsAreMergedUnderTheFilesConfig) {
  write_file();
  const at::Tensor other = tensors_.at(down_projection(1)) + 1;
  tensors_[down_projection(1)] = other;
  const std::string base = write_model(config_, tensors_);
  write_adapter({"tiny", base});
  const GgufFile file(path("file"));
  const PatchSource source = open_patch_source(file, options("model"));
  EXPECT_EQ(source.merged_from, kMergedFromCheckpoint);
  EXPECT_EQ(source.paired_by, "norms of the checkpoint");
  EXPECT_EQ(source.provenance.base_sha256, base);
  EXPECT_EQ(source.config.max_position_embeddings, 32);
  expect_merged(source, other);
}

TEST_F(PatchSourceTest, ANormIsAnotherWhereOnlyTheSignOfAZeroDiffers) {
  const std::string norm = "model.layers.1.post_attention_layernorm.weight";
  float& last = tensors_.at(norm).data_ptr<float>()[31];
  last = 0;
  write_file();
  last = -last;
  write_adapter({"tiny", write_model(config_, tensors_)});
  EXPECT_THAT(refusal<DataError>(options("model")),
              AllOf(HasSubstr("'blk.1.ffn_norm.weight' differs from " + norm), HasSubstr("number 31: 0 and -0")));
}

TEST_F(PatchSourceTest, ACheckpointOfAnotherSizeIsRefusedByTheSizeWhateverIsAllowed) {
  write_file();
  struct Change {
    const char* key;
    std::int64_t ModelConfig::*member;
    std::int64_t size;
  };
  for (const auto& [key, member, size] :
       {Change{"intermediate_size", &ModelConfig::intermediate_size, 48},
        Change{"num_attention_heads", &ModelConfig::num_heads, 2},
        Change{"num_key_value_heads", &ModelConfig::num_key_value_heads, 1},
        Change{"head_dim", &ModelConfig::head_dim, 16}, Change{"rotary dimension", &ModelConfig::rotary_dim, 4},
        Change{"vocab_size", &ModelConfig::vocab_size, 51}}) {
    ModelConfig config = config_;
    config.*member = size;
    write_adapter({"tiny", write_model(config, tiny_tensors(config))});
    ExportOptions allowing = options("model");
    allowing.allow_base_mismatch = true;
    EXPECT_THAT(refusal<ShapeError>(allowing),
                HasSubstr(std::string(key) + ": expected the " + std::to_string(size) + " of " + allowing.model_path));
  }
}

TEST_F(PatchSourceTest, TheBaseThatAFileNamesIsNoProofWithoutTheNorms) {
  write_file("abc");
  write_adapter({"tiny", "abc"});
  EXPECT_THAT(refusal<DataError>(options()), HasSubstr("has no base_norms_sha256"));
  write_adapter({"tiny", "abc", file_norms()});
  EXPECT_EQ(refusal<DataError>(options()), "");
}

TEST_F(PatchSourceTest, AnAllowedMismatchIsRecordedWithBothBases) {
  write_file("def");
  write_adapter({"tiny", "abc", file_norms()});
  ExportOptions allowing = options();
  allowing.allow_base_mismatch = true;
  const GgufFile file(path("file"));
  const PatchSource source = open_patch_source(file, allowing);
  EXPECT_EQ(source.paired_by, "nothing");
  EXPECT_EQ(source.provenance.base_sha256, "def");
  EXPECT_EQ(source.provenance.trained_on, "abc");
}

// ---- the file as the base itself

TEST_F(PatchSourceTest, AFileIsTheBaseOfAnAdapterThatNamesItsWeights) {
  write_file();
  write_adapter({"file.gguf", models::base_sha256(path("file"))});
  const GgufFile file(path("file"));
  const PatchSource source = open_base_source(file, options("file"));
  EXPECT_EQ(source.paired_by, kPairedByWeights);
  EXPECT_EQ(source.provenance.base_sha256, source.provenance.trained_on);
  expect_merged(source, tensors_.at(down_projection(1)));
}

TEST_F(PatchSourceTest, AnAdapterOfOtherWeightsMeetsAFileByItsNorms) {
  write_file();
  write_adapter({"tiny", "abc", file_norms()});
  const GgufFile file(path("file"));
  EXPECT_EQ(open_base_source(file, options("file")).paired_by, kPairedByNorms);
  write_adapter({"tiny", "abc", "other norms"});
  EXPECT_THAT(message_of<DataError>([&] { open_base_source(file, options("file")); }),
              HasSubstr("this adapter was trained on a base with SHA-256 abc (tiny)"));
}

}  // namespace
}  // namespace nkat::exporting
