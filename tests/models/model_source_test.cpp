#include "models/model_source.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/weights/base_fingerprint.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;

class ModelSourceTest : public ::testing::Test {
 protected:
  ModelSourceTest() { ::setenv("NKAT_CACHE_DIR", "/dev/null", /*overwrite=*/1); }  // no cache
  ~ModelSourceTest() override { ::unsetenv("NKAT_CACHE_DIR"); }

  fs::path write_folder(const std::map<std::string, at::Tensor>& tensors) const {
    folder_.write("model/model.safetensors", serialized(tensors));
    return folder_.path() / "model";
  }
  fs::path file() const { return folder_.path() / "model.gguf"; }

  const TemporaryFolder folder_;
  const ModelConfig config_ = tiny_config();
  const std::map<std::string, at::Tensor> tensors_ = tiny_tensors(config_);
};

TEST_F(ModelSourceTest, AFilesConfigIsThatOfItsKeys) {
  write_tiny_gguf(file(), config_, tensors_);
  const ModelConfig found = open_model_config(file());
  EXPECT_EQ(found.hidden_size, config_.hidden_size);
  EXPECT_EQ(found.num_key_value_heads, config_.num_key_value_heads);
  EXPECT_EQ(found.long_factor.size(), config_.long_factor.size());
  EXPECT_FALSE(found.tie_word_embeddings);
}

TEST_F(ModelSourceTest, AFileHasTheWeightsOfTheFolderItWasMadeFrom) {
  write_tiny_gguf(file(), config_, tensors_);
  const auto weights = open_weights(file(), config_);
  for (const auto& [name, tensor] : tensors_) {
    std::vector<float> found(static_cast<std::size_t>(tensor.numel()));
    weights->read(name, 0, found);
    EXPECT_TRUE(at::equal(at::tensor(found).view(tensor.sizes()), tensor)) << name;
  }
}

TEST_F(ModelSourceTest, AFileAndTheFloat32FolderItStandsForHaveOneHash) {
  write_tiny_gguf(file(), config_, tensors_);
  const fs::path folder = write_folder(tensors_);
  EXPECT_EQ(base_sha256(file()), base_sha256(folder));
  EXPECT_EQ(norms_sha256(file(), config_), norms_sha256(folder, config_));
  auto changed = tensors_;
  changed["model.layers.1.mlp.down_proj.weight"] = changed["model.layers.1.mlp.down_proj.weight"] + 1;
  EXPECT_NE(base_sha256(write_folder(changed)), base_sha256(file()));
}

TEST_F(ModelSourceTest, AQuantizedFileAndTheFolderOfItsDecodedValuesHaveOneHash) {
  write_tiny_gguf(file(), config_, tensors_, gguf::GgmlType::kQ8_0);
  const auto weights = open_weights(file(), config_);
  std::map<std::string, at::Tensor> decoded;
  for (const auto& [name, tensor] : tensors_) {
    at::Tensor values = at::empty(tensor.sizes(), at::kFloat);
    weights->read(name, 0, {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    decoded[name] = values;
  }
  EXPECT_FALSE(at::equal(decoded.at("lm_head.weight"), tensors_.at("lm_head.weight")));
  EXPECT_EQ(base_sha256(file()), base_sha256(write_folder(decoded)));
}

TEST_F(ModelSourceTest, AFileThatIsNoGgufIsRefusedByName) {
  folder_.write("model.gguf", "{}");
  EXPECT_THAT(message_of<FormatError>([&] { open_model_config(file()); }), HasSubstr("model.gguf"));
}

TEST_F(ModelSourceTest, AFileOfAFolderNamesTheFolder) {
  EXPECT_THAT(message_of<DataError>([&] { open_model_config(write_folder(tensors_) / "model.safetensors"); }),
              HasSubstr("give the folder that it is in"));
}

TEST_F(ModelSourceTest, AGgufFileIsKnownUnderAnotherName) {
  write_tiny_gguf(folder_.path() / "blob", config_, tensors_);
  EXPECT_EQ(open_model_config(folder_.path() / "blob").num_layers, config_.num_layers);
}

TEST_F(ModelSourceTest, AFolderOfGgufFilesNamesTheFirst) {
  folder_.write("some/b.gguf", "");
  folder_.write("some/a.gguf", "");
  EXPECT_THAT(message_of<DataError>([&] { open_model_config(folder_.path() / "some"); }),
              HasSubstr("name the GGUF file itself: " + (folder_.path() / "some" / "a.gguf").string()));
}

}  // namespace
}  // namespace nkat::models
