#include "models/weights/base_fingerprint.h"

#include <chrono>
#include <cstdlib>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

class BaseHash : public ::testing::Test {
 protected:
  BaseHash() { ::setenv("NKAT_CACHE_DIR", cache_.path().c_str(), /*overwrite=*/1); }
  ~BaseHash() override { ::unsetenv("NKAT_CACHE_DIR"); }

  static std::size_t files_in(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }

  TemporaryFolder cache_;
  TemporaryFolder model_;
};

TEST_F(BaseHash, IsTheDocumentedEncoding) {
  model_.write("model.safetensors", serialized({{"b", at::full({2, 1}, 1.0)}, {"a", at::full({}, 2.0).to(at::kHalf)}}));
  std::string text;
  text += std::string("a\0F16\0\0", 7) + std::string("\x00\x40", 2);
  text += std::string(
              "b\0F32\0"
              "2,1\0",
              10) +
          std::string("\x00\x00\x80\x3f\x00\x00\x80\x3f", 8);
  EXPECT_EQ(base_sha256(model_.path()), sha256_hex(text));
}

TEST_F(BaseHash, DoesNotDependOnSharding) {
  const auto tensors = tiny_tensors(tiny_config());
  model_.write("model.safetensors", serialized(tensors));
  std::map<std::string, at::Tensor> first, second;
  nlohmann::json index = {{"metadata", nlohmann::json::object()}, {"weight_map", nlohmann::json::object()}};
  for (const auto& [name, tensor] : tensors) {
    const bool early = first.size() < 3;
    (early ? first : second)[name] = tensor;
    index["weight_map"][name] = early ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  }
  TemporaryFolder sharded;
  sharded.write("model-00001-of-00002.safetensors", serialized(first));
  sharded.write("model-00002-of-00002.safetensors", serialized(second));
  sharded.write("model.safetensors.index.json", index.dump());
  EXPECT_EQ(base_sha256(sharded.path()), base_sha256(model_.path()));
}

TEST_F(BaseHash, ChangesWithAValueANameAndAType) {
  const at::Tensor value = at::ones({4});
  std::set<std::string> hashes;
  for (const auto& tensors : std::vector<std::map<std::string, at::Tensor>>{{{"a", value}},
                                                                            {{"a", value * 2}},
                                                                            {{"b", value}},
                                                                            {{"a", value.view({2, 2})}},
                                                                            {{"a", value.to(at::kHalf)}}}) {
    TemporaryFolder folder;
    folder.write("model.safetensors", serialized(tensors));
    hashes.insert(base_sha256(folder.path()));
  }
  EXPECT_EQ(hashes.size(), 5u);
}

TEST_F(BaseHash, IsCachedUntilTheFileChanges) {
  const auto file = model_.write("model.safetensors", serialized({{"a", at::ones({4})}}));
  const std::string first = base_sha256(model_.path());
  EXPECT_EQ(files_in(cache_.path()), 1u);
  EXPECT_EQ(base_sha256(model_.path()), first);
  EXPECT_EQ(files_in(cache_.path()), 1u);
  model_.write("model.safetensors", serialized({{"a", at::zeros({4})}}));
  std::filesystem::last_write_time(file, std::filesystem::last_write_time(file) + std::chrono::seconds(5));
  EXPECT_NE(base_sha256(model_.path()), first);
}

TEST_F(BaseHash, ADamagedCacheEntryIsComputedAgain) {
  model_.write("model.safetensors", serialized({{"a", at::ones({4})}}));
  const std::string first = base_sha256(model_.path());
  for (const auto& entry : std::filesystem::directory_iterator(cache_.path())) {
    std::ofstream(entry.path()) << "cut off";
  }
  EXPECT_EQ(base_sha256(model_.path()), first);
}

using Tensors = std::map<std::string, at::Tensor>;

std::string norms_hash_of(const Tensors& tensors) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", serialized(tensors));
  return norms_sha256(folder.path(), tiny_config());
}

std::string encoded(const std::string& name, const at::Tensor& values) {
  const at::Tensor floats = values.to(at::kFloat).contiguous();
  return name +
         std::string(
             "\0"
             "32\0",
             4) +
         std::string(reinterpret_cast<const char*>(floats.const_data_ptr()), floats.nbytes());
}

TEST(NormsHash, IsTheDocumentedEncoding) {
  const Tensors tensors = tiny_tensors(tiny_config());
  std::string text;
  for (const char* name : {"model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
                           "model.layers.1.input_layernorm.weight", "model.layers.1.post_attention_layernorm.weight",
                           "model.norm.weight"}) {
    text += encoded(name, tensors.at(name));
  }
  EXPECT_EQ(norms_hash_of(tensors), sha256_hex(text));
}

TEST(NormsHash, DoesNotDependOnTheStoredTypeOfEqualValues) {
  Tensors tensors = tiny_tensors(tiny_config());
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16).to(at::kFloat);
  const std::string wide = norms_hash_of(tensors);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16);
  EXPECT_EQ(norms_hash_of(tensors), wide);
}

TEST(NormsHash, ChangesWithOneBitOfANormAndWithNothingElse) {
  Tensors tensors = tiny_tensors(tiny_config());
  const std::string before = norms_hash_of(tensors);
  tensors["model.layers.1.mlp.down_proj.weight"].mul_(2);
  EXPECT_EQ(norms_hash_of(tensors), before);
  float& value = tensors["model.norm.weight"].data_ptr<float>()[31];
  value = std::nextafter(value, 2.0f);
  EXPECT_NE(norms_hash_of(tensors), before);
}

TEST(NormsHash, RefusesACheckpointWithoutANorm) {
  Tensors tensors = tiny_tensors(tiny_config());
  tensors.erase("model.norm.weight");
  EXPECT_THROW(norms_hash_of(tensors), FormatError);
}

}  // namespace
}  // namespace nkat::models
