#include "data/formats/safetensors_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string shard_of(const std::vector<std::string>& names) {
  std::vector<TensorToWrite> tensors;
  static const std::string kBytes = "abcd";
  for (const std::string& name : names) {
    tensors.push_back({name, DType::kF32, {1}, std::as_bytes(std::span(kBytes.data(), kBytes.size()))});
  }
  return serialize_safetensors(tensors, {});
}

class SafetensorsFolderTest : public ::testing::Test {
 protected:
  SafetensorsFolderTest() {
    folder_.write("one.safetensors", shard_of({"a", "b"}));
    folder_.write("two.safetensors", shard_of({"c"}));
  }
  std::string complaint(const std::string& index) {
    return nkat::testing::complaint_about(
        [this](const std::string& bytes) {
          folder_.write("model.safetensors.index.json", bytes);
          SafetensorsFolder(folder_.path());
        },
        index);
  }
  nkat::testing::TemporaryFolder folder_;
};

constexpr const char* kGoodIndex =
    R"({"metadata":{"total_size":12},"weight_map":{"c":"two.safetensors","a":"one.safetensors","b":"one.safetensors"}})";

TEST_F(SafetensorsFolderTest, FindsTensorsAcrossShards) {
  folder_.write("model.safetensors.index.json", kGoodIndex);
  const SafetensorsFolder folder(folder_.path());
  EXPECT_THAT(folder.names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(folder.files().size(), 2u);
  const auto located = folder.find("c");
  ASSERT_TRUE(located.has_value());
  EXPECT_EQ(located->file->path().filename(), "two.safetensors");
  EXPECT_EQ(located->info->name, "c");
  EXPECT_FALSE(folder.find("d").has_value());
}

TEST_F(SafetensorsFolderTest, TakesTheSingleFileFirst) {
  folder_.write("model.safetensors", shard_of({"only"}));
  folder_.write("model.safetensors.index.json", kGoodIndex);
  EXPECT_THAT(SafetensorsFolder(folder_.path()).names(), ElementsAre("only"));
}

TEST_F(SafetensorsFolderTest, SaysWhatIsMissing) {
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string& path) { SafetensorsFolder{fs::path(path)}; },
                                             folder_.path().string()),
              HasSubstr("found neither"));
  folder_.write("pytorch_model.bin", "x");
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string& path) { SafetensorsFolder{fs::path(path)}; },
                                             folder_.path().string()),
              HasSubstr("pytorch_model.bin can't be read"));
  EXPECT_THROW(SafetensorsFolder(folder_.path() / "nowhere"), DataError);
}

TEST_F(SafetensorsFolderTest, NamesWhatLiesInTheWeightsPlace) {
  for (const auto& [name, said] :
       {std::pair{"pytorch_model-00001-of-00002.bin", "can't be read: save the model again as safetensors"},
        {"adapter_model.safetensors", "is an adapter alone: merge it into its base"},
        {"consolidated.safetensors", "has its maker's own layout"},
        {"model-00001-of-00002.safetensors", "is a shard: download model.safetensors.index.json, too"},
        {"phi.safetensors", "has another name: rename it"},
        {"phi.gguf", "is a GGUF file: give it by its own name"},
        {"model.safetensors.incomplete", "is a download that didn't end: start it again"},
        {"model-00002-of-00002.safetensors.part", "is a download that didn't end"},
        {"model.onnx", "is for another program: download the safetensors files"},
        {"tf_model.h5", "is for another program"},
        {"flax_model.msgpack", "is for another program"},
        {"weights.npz", "is for another program"},
        {"model.ckpt", "can't be read: save the model again as safetensors"},
        {"__0_0.distcp", "is a shard of a training state"}}) {
    const nkat::testing::TemporaryFolder folder;
    folder.write(name, "x");
    EXPECT_THAT(nkat::testing::complaint_about([&](const std::string&) { SafetensorsFolder{folder.path()}; }, ""),
                HasSubstr(std::string("found neither; ") + name + " " + said));
  }
}

TEST_F(SafetensorsFolderTest, RefusesEachCorruptIndexByName) {
  const auto map = [](const std::string& entries) { return R"({"weight_map":{)" + entries + "}}"; };
  const std::string rest = R"("a":"one.safetensors","b":"one.safetensors")";
  const struct {
    const char* name;
    std::string index;
    const char* message;
  } corruptions[] = {
      {"Empty", "", "not valid JSON"},
      {"Cut", R"({"weight_map":{)", "not valid JSON"},
      {"List", "[]", "'weight_map'"},
      {"NoMap", "{}", "'weight_map'"},
      {"MapIsList", R"({"weight_map":[]})", "'weight_map'"},
      {"MapIsEmpty", map(""), "is empty"},
      {"ShardIsNumber", map(R"("a":1)"), "plain name"},
      {"ShardIsEmpty", map(R"("a":"")"), "plain name"},
      {"ShardAboveFolder", map(R"("a":"../one.safetensors")"), "plain name"},
      {"ShardAbsolute", map(R"("a":"/etc/passwd")"), "plain name"},
      {"ShardIsParent", map(R"("a":"..")"), "plain name"},
      {"ShardWithBackslash", map(R"("a":"x\\y")"), "plain name"},
      {"ShardWithNul", map(R"("a":"one.safetensors\u0000")"), "plain name"},
      {"ShardMissing", map(rest + R"(,"c":"three.safetensors")"), "the shard is missing"},
      {"TensorInNoShard", map(rest + R"(,"d":"two.safetensors")"), "in no shard"},
      {"TensorInOtherShard", map(rest + R"(,"c":"one.safetensors")"), "in no shard"},
      {"TensorNamedForWrongShard", map(R"("a":"two.safetensors","b":"one.safetensors","c":"two.safetensors")"),
       "expected it in two.safetensors"},
      {"TensorTwiceInMap", map(rest + R"(,"a":"one.safetensors")"), "duplicate key 'a'"},
  };
  for (const auto& one : corruptions) EXPECT_THAT(complaint(one.index), HasSubstr(one.message)) << one.name;
}

TEST_F(SafetensorsFolderTest, RefusesATensorInTwoShards) {
  folder_.write("two.safetensors", shard_of({"c", "a"}));
  EXPECT_THAT(complaint(kGoodIndex), HasSubstr("duplicate tensor 'a', also in"));
}

TEST_F(SafetensorsFolderTest, SurvivesDamagedIndexes) {
  const nkat::testing::Reader read = [this](const std::string& bytes) {
    folder_.write("model.safetensors.index.json", bytes);
    SafetensorsFolder(folder_.path());
  };
  EXPECT_EQ(nkat::testing::refused_truncations(read, kGoodIndex), static_cast<int>(std::string(kGoodIndex).size()));
  EXPECT_GT(nkat::testing::refused_bit_flips(read, kGoodIndex), 100);
}

}  // namespace
}  // namespace nkat::data
