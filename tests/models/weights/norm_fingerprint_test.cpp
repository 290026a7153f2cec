#include "models/weights/norm_fingerprint.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using Tensors = std::map<std::string, at::Tensor>;

std::string hash_of(const Tensors& tensors) {
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

TEST(NormHash, IsTheDocumentedEncoding) {
  const Tensors tensors = tiny_tensors(tiny_config());
  std::string text;
  for (const char* name : {"model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
                           "model.layers.1.input_layernorm.weight", "model.layers.1.post_attention_layernorm.weight",
                           "model.norm.weight"}) {
    text += encoded(name, tensors.at(name));
  }
  EXPECT_EQ(hash_of(tensors), sha256_hex(text));
}

TEST(NormHash, DoesNotDependOnTheStoredTypeOfEqualValues) {
  Tensors tensors = tiny_tensors(tiny_config());
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16).to(at::kFloat);
  const std::string wide = hash_of(tensors);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kBFloat16);
  EXPECT_EQ(hash_of(tensors), wide);
}

TEST(NormHash, ChangesWithOneBitOfANormAndWithNothingElse) {
  Tensors tensors = tiny_tensors(tiny_config());
  const std::string before = hash_of(tensors);
  tensors["model.layers.1.mlp.down_proj.weight"].mul_(2);
  EXPECT_EQ(hash_of(tensors), before);
  float& value = tensors["model.norm.weight"].data_ptr<float>()[31];
  value = std::nextafter(value, 2.0f);
  EXPECT_NE(hash_of(tensors), before);
}

TEST(NormHash, RefusesACheckpointWithoutANorm) {
  Tensors tensors = tiny_tensors(tiny_config());
  tensors.erase("model.norm.weight");
  EXPECT_THROW(hash_of(tensors), FormatError);
}

}  // namespace
}  // namespace nkat::models
