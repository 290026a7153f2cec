#include "data/inspect/inspect_path.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/datasets/token_cache.h"
#include "data/formats/safetensors.h"
#include "tests/support/mutations.h"
#include "tests/support/raw_gguf.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InspectPathTest : public ::testing::Test {
 protected:
  Inspection look(const std::string& name, Values values = Values::kAsTheyAre) {
    return inspect(folder_.path() / name, values);
  }
  std::string error_of(const std::string& name, Values values = Values::kAsTheyAre) {
    return nkat::testing::complaint_about([&](const std::string&) { look(name, values); }, "");
  }
  static std::string weights(float value) {
    return serialize_safetensors({{"w", DType::kF32, {1}, std::as_bytes(std::span(&value, 1))}}, {{"format", "pt"}});
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(InspectPathTest, TellsTheKindByNameOrFirstBytes) {
  folder_.write("a.gguf", nkat::testing::RawGguf{}.bytes());
  folder_.write("b", nkat::testing::RawGguf{}.bytes());
  folder_.write("c.safetensors", weights(1));
  folder_.write("d", weights(1));
  folder_.write("tokenizer.model", nkat::testing::tiny_model());
  EXPECT_EQ(look("a.gguf").kind, "GGUF file");
  EXPECT_EQ(look("b").kind, "GGUF file");
  EXPECT_EQ(look("c.safetensors").kind, "safetensors file");
  EXPECT_EQ(look("d").kind, "safetensors file");
  EXPECT_EQ(look("tokenizer.model").kind, "tokenizer.model");
  folder_.write("e", "PK\x03\x04");
  EXPECT_THAT(error_of("e"), HasSubstr("expected a GGUF file, a safetensors file or a tokenizer.model"));
  EXPECT_THAT(error_of("nowhere"), HasSubstr("nothing of that name"));
}

TEST_F(InspectPathTest, RefusesAModelOfNoneOrMoreThan512Blocks) {
  const auto error_with = [&](std::uint32_t blocks) {
    nkat::testing::RawGguf file;
    file.pairs[1] = nkat::testing::raw_pair("phi3.block_count", 4, nkat::testing::raw(blocks));
    folder_.write("a.gguf", file.bytes());
    return error_of("a.gguf");
  };
  EXPECT_EQ(error_with(1), "");
  EXPECT_EQ(error_with(512), "");
  EXPECT_THAT(error_with(0), HasSubstr("phi3.block_count: expected 1 to 512, found 0"));
  EXPECT_THAT(error_with(513), HasSubstr("phi3.block_count: expected 1 to 512, found 513"));
}

TEST_F(InspectPathTest, ReadsATokenCache) {
  {
    TokenCacheWriter writer(folder_.path() / "tokens-1.safetensors", "the key");
    writer.add(std::vector<std::uint32_t>{1, 2, 3}, 1);
    writer.add(std::vector<std::uint32_t>{4}, 2);
    writer.finish(R"({"records":5})");
    writer.publish();
  }
  const Inspection found = look("tokens-1.safetensors");
  EXPECT_EQ(found.kind, "token cache of a data file");
  EXPECT_EQ(found.facts["key"], "the key");
  EXPECT_EQ(found.facts["samples"], 2);
  EXPECT_EQ(found.facts["summary"]["records"], 5);
  EXPECT_THAT(to_text(found), HasSubstr("tokens  U32     [4]"));
  std::string bytes = read_file(folder_.path() / "tokens-1.safetensors", 1 << 20);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  folder_.write("tokens-1.safetensors", bytes);
  EXPECT_THAT(error_of("tokens-1.safetensors"), HasSubstr("its bytes are damaged"));
}

TEST_F(InspectPathTest, RefusesNumbersThatAreNotFiniteWhenAsked) {
  folder_.write("x.safetensors", weights(NAN));
  EXPECT_EQ(error_of("x.safetensors"), "");
  EXPECT_THAT(error_of("x.safetensors", Values::kFinite), HasSubstr("tensor 'w': element 0: expected a finite number"));
}

TEST_F(InspectPathTest, ShowsControlCharactersAsText) {
  folder_.write("x.safetensors", serialize_safetensors({}, {{"note", "a\x1B[31m\nb"}}));
  EXPECT_THAT(to_text(look("x.safetensors")), HasSubstr("a?[31m\\nb"));
}

TEST_F(InspectPathTest, SendsTheFolderOfARunElsewhere) {
  fs::create_directories(folder_.path() / "run" / "checkpoints");
  EXPECT_THAT(error_of("run"), HasSubstr("give one of its checkpoints, or use nkat validate"));
  fs::create_directories(folder_.path() / "other");
  EXPECT_THAT(error_of("other"), HasSubstr("expected a folder with manifest.json, adapter_config.json"));
}

}  // namespace
}  // namespace nkat::data
