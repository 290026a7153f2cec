#include "models/adapter.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/weights/base_fingerprint.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::tiny_config;
using Json = nlohmann::ordered_json;

Adapter example() { return init_adapter(tiny_config(), {.first_layer = 1, .alpha = -2, .weight_std = 0.3, .seed = 9}); }

class AdapterFolder : public ::testing::Test {
 protected:
  void write(const Adapter& adapter) const {
    for (const auto& [name, bytes] : serialize_adapter(adapter, tiny_config(), {"base", "abc"}))
      folder_.write(name, bytes);
  }
  void write_with_norms(const Adapter& adapter) const {
    for (const auto& [name, bytes] : serialize_adapter(adapter, tiny_config(), {"base", "abc", "def"}))
      folder_.write(name, bytes);
  }
  // The message when one key of adapter_config.json is changed, or "" if it loads.
  std::string with_key(const char* key, const Json& value) const {
    write(example());
    Json json = Json::parse(read_file(folder_.path() / "adapter_config.json", 1 << 16));
    json[key] = value;
    folder_.write("adapter_config.json", json.dump());
    return message();
  }
  std::string message() const {
    return nkat::testing::message_of([&] { load_adapter(folder_.path(), tiny_config()); });
  }
  const TemporaryFolder folder_;
};

TEST(Adapter, StartsFromItsSeedAlone) {
  EXPECT_TRUE(example().weight.equal(example().weight));
  EXPECT_FALSE(
      example().weight.equal(init_adapter(tiny_config(), {.first_layer = 1, .weight_std = 0.3, .seed = 10}).weight));
  EXPECT_NEAR(example().weight.std().item<double>(), 0.3, 0.3 * 5 / std::sqrt(2 * 256));  // five standard errors
}

TEST(Adapter, AZeroStandardDeviationIsTheIdentity) {
  const Adapter adapter = init_adapter(tiny_config(), {.weight_std = 0});
  EXPECT_TRUE(adapter.rotations().equal(at::eye(8).expand_as(adapter.weight)));
}

TEST(Adapter, LayersBelowTheFirstHaveNoMatrices) {
  const Adapter adapter = example();
  const auto matrices = adapter.matrices(at::kCPU);
  ASSERT_EQ(matrices.size(), 2u);
  EXPECT_FALSE(matrices[0].defined());
  EXPECT_EQ(matrices[1].sizes(), (std::vector<std::int64_t>{4, 8, 8}));
}

TEST(Adapter, RefusesALayerThatIsNotThere) {
  EXPECT_THROW(init_adapter(tiny_config(), {.first_layer = 2}), ConfigError);
}

TEST_F(AdapterFolder, BringsBackWhatWasWritten) {
  write(example());
  const LoadedAdapter loaded = load_adapter(folder_.path(), tiny_config());
  EXPECT_TRUE(loaded.adapter.weight.equal(example().weight));
  EXPECT_TRUE(loaded.adapter.alpha.equal(example().alpha));
  EXPECT_EQ(loaded.adapter.first_layer, 1);
  EXPECT_EQ(loaded.base.base_sha256, "abc");
}

TEST_F(AdapterFolder, MayNameTheNormsOfItsBase) {
  write(example());
  EXPECT_EQ(load_adapter(folder_.path(), tiny_config()).base.base_norms_sha256, "");
  write_with_norms(example());
  EXPECT_EQ(load_adapter(folder_.path(), tiny_config()).base.base_norms_sha256, "def");
  EXPECT_THAT(with_key("base_norms_sha256", 1), HasSubstr("expected a string, found 1"));
}

TEST_F(AdapterFolder, NamesWhatIsWrongInItsConfig) {
  EXPECT_THAT(with_key("peft_type", "LORA"), HasSubstr(R"(expected NKAT_SO8T, found "LORA")"));
  EXPECT_THAT(with_key("version", 2), HasSubstr("'version': expected at most 1, found 2"));
  EXPECT_THAT(with_key("num_hidden_layers", "2"), HasSubstr(R"(expected a whole number from 1 to 512, found "2")"));
  EXPECT_THAT(with_key("hidden_size", 64), HasSubstr("hidden_size: expected the model's 32, found 64"));
  EXPECT_THAT(with_key("first_adapter_layer", 2), HasSubstr("from 0 to 1"));
  EXPECT_THAT(with_key("first_adapter_layer", -1), HasSubstr("from 0 to 1"));
  EXPECT_THAT(with_key("first_adapter_layer", 0), HasSubstr("layers.0.so8t.weight' is missing"));
  EXPECT_THAT(with_key("base_sha256", nullptr), HasSubstr("expected a string, found null"));
}

TEST_F(AdapterFolder, RefusesNumbersThatAreNotFinite) {
  Adapter adapter = example();
  adapter.alpha[0] = NAN;
  write(adapter);
  EXPECT_THAT(message(), HasSubstr("alpha' holds a value that is NaN or infinite"));
}

TEST_F(AdapterFolder, RefusesAWeightOfAnotherShape) {
  Adapter adapter = example();
  adapter.weight = at::zeros({1, 3, 8, 8});
  write(adapter);
  EXPECT_THAT(message(), HasSubstr("expected F32 (4, 8, 8), found F32 (3, 8, 8)"));
}

TEST_F(AdapterFolder, SaysWhichFileIsMissing) {
  write(example());
  std::filesystem::remove(folder_.path() / "adapter_model.safetensors");
  EXPECT_THAT(message(), HasSubstr("adapter_model.safetensors"));
}

TEST_F(AdapterFolder, RefusesAnotherBaseWithBothHashes) {
  write(example());
  const LoadedAdapter loaded = load_adapter(folder_.path(), tiny_config());
  EXPECT_NO_THROW(require_same_base(loaded, "abc", folder_.path()));
  EXPECT_THROW(require_same_base(loaded, "def", folder_.path()), DataError);
}

TEST_F(AdapterFolder, MeetsAQuantizedFileOfItsBaseByTheNorms) {
  ::setenv("NKAT_CACHE_DIR", "/dev/null", /*overwrite=*/1);  // no cache
  const ModelConfig config = tiny_config();
  auto tensors = testing::tiny_tensors(config);
  const fs::path file = folder_.path() / "base.gguf";
  testing::write_tiny_gguf(file, config, tensors, gguf::GgmlType::kQ8_0);
  const BaseFingerprint base = {"base", "abc", norms_sha256(file, config)};
  EXPECT_TRUE(meets_by_norms(base, file, config));
  LoadedAdapter loaded;
  loaded.base = base;
  EXPECT_NO_THROW(require_base_of(loaded, file, config, folder_.path()));
  EXPECT_FALSE(meets_by_norms({"base", "abc", ""}, file, config));
  loaded.base.base_norms_sha256 = "other";
  EXPECT_THROW(require_base_of(loaded, file, config, folder_.path()), DataError);
  folder_.write("model/model.safetensors", testing::serialized(tensors));  // a folder has a hash of its own
  EXPECT_FALSE(meets_by_norms(base, folder_.path() / "model", config));
  ::unsetenv("NKAT_CACHE_DIR");
}

}  // namespace
}  // namespace nkat::models
