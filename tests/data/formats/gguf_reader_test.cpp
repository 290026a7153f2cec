#include "data/formats/gguf_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/raw_gguf.h"
#include "tests/support/temporary_folder.h"

namespace nkat::gguf {
namespace {

using nkat::testing::raw;
using nkat::testing::raw_array;
using nkat::testing::raw_pair;
using nkat::testing::raw_tensor;
using nkat::testing::raw_text;
using nkat::testing::RawGguf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GgufReaderTest : public ::testing::Test {
 protected:
  GgufFile open(const RawGguf& raw_file) const { return GgufFile(folder_.write("x.gguf", raw_file.bytes())); }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(GgufReaderTest, ReadsMetadataTensorsAndTheirBytes) {
  const GgufFile file = open({});
  EXPECT_EQ(file.version(), 3U);
  EXPECT_EQ(file.metadata().string("general.architecture"), "phi3");
  EXPECT_EQ(file.metadata().number<std::uint32_t>("phi3.block_count"), 2U);
  EXPECT_THAT(file.metadata().strings("tokens", 2), ElementsAre("a", "bc"));
  EXPECT_FALSE(file.metadata().number<bool>("add_bos"));
  ASSERT_EQ(file.tensors().size(), 2U);
  const GgufTensor* first = file.find("a.weight");
  ASSERT_NE(first, nullptr);
  EXPECT_THAT(first->ne, ElementsAre(3, 2, 1, 1));
  EXPECT_EQ(first->dimensions, 2U);
  EXPECT_EQ(first->type, GgmlType::kF32);
  EXPECT_EQ(file.bytes(*first).size(), 24U);
  EXPECT_EQ(file.bytes(*first).back(), std::byte{1});
  const GgufTensor* second = file.find("b.weight");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->type, GgmlType::kQ8_0);
  EXPECT_EQ(file.bytes(*second).size(), 34U);
  EXPECT_EQ(file.bytes(*second).front(), std::byte{2});
  file.release(*second);
  EXPECT_EQ(file.bytes(*second).back(), std::byte{2});
  EXPECT_EQ(file.find("c.weight"), nullptr);
}

TEST_F(GgufReaderTest, ReadsVersionTwoAndFilesWithoutTensors) {
  EXPECT_EQ(open({.version = 2}).version(), 2U);
  EXPECT_TRUE(open({.tensors = {}, .data = ""}).tensors().empty());
}

TEST_F(GgufReaderTest, TakesPaddingBehindTheLastTensorAsOptional) {
  RawGguf file;
  file.data.resize(66);
  EXPECT_EQ(open(file).tensors().size(), 2U);
}

TEST_F(GgufReaderTest, KeepsAnAlignmentOfItsOwn) {
  RawGguf file{.alignment = 256};
  file.pairs.push_back(raw_pair("general.alignment", 4, raw(std::uint32_t{256})));
  file.tensors = {raw_tensor("a", {4}, 0, 0), raw_tensor("b", {1}, 24, 256)};
  file.data = std::string(16, 'a') + std::string(240, '\0') + "b";
  const GgufFile read = open(file);
  EXPECT_EQ(read.alignment(), 256U);
  EXPECT_EQ(read.bytes(*read.find("b")).front(), std::byte{'b'});
}

TEST_F(GgufReaderTest, ReadsEveryValueType) {
  RawGguf file;
  file.pairs = {raw_pair("u8", 0, raw(std::uint8_t{200})),
                raw_pair("i8", 1, raw(std::int8_t{-3})),
                raw_pair("u16", 2, raw(std::uint16_t{60'000})),
                raw_pair("i16", 3, raw(std::int16_t{-300})),
                raw_pair("i32", 5, raw(std::int32_t{-70'000})),
                raw_pair("f32", 6, raw(0.5F)),
                raw_pair("u64", 10, raw(UINT64_MAX)),
                raw_pair("i64", 11, raw(INT64_MIN)),
                raw_pair("f64", 12, raw(-0.25)),
                raw_pair("f32s", 9, raw_array(6, 2, raw(1.5F) + raw(-2.0F))),
                raw_pair("none", 9, raw_array(5, 0, ""))};
  const GgufFile read = open(file);
  const GgufMetadata& metadata = read.metadata();
  EXPECT_EQ(metadata.number<std::uint8_t>("u8"), 200);
  EXPECT_EQ(metadata.number<std::int8_t>("i8"), -3);
  EXPECT_EQ(metadata.number<std::uint16_t>("u16"), 60'000);
  EXPECT_EQ(metadata.number<std::int16_t>("i16"), -300);
  EXPECT_EQ(metadata.number<std::int32_t>("i32"), -70'000);
  EXPECT_EQ(metadata.number<float>("f32"), 0.5F);
  EXPECT_EQ(metadata.number<std::uint64_t>("u64"), UINT64_MAX);
  EXPECT_EQ(metadata.number<std::int64_t>("i64"), INT64_MIN);
  EXPECT_EQ(metadata.number<double>("f64"), -0.25);
  EXPECT_THAT(metadata.numbers<float>("f32s"), ElementsAre(1.5F, -2.0F));
  EXPECT_TRUE(metadata.numbers<std::int32_t>("none").empty());
  EXPECT_EQ(metadata.find("f32s")->preview(100), "[1.5, -2]");
}

TEST_F(GgufReaderTest, RefusesToConvert) {
  const GgufFile file = open({});
  const GgufMetadata& metadata = file.metadata();
  const auto complaint = [](auto get) { return nkat::testing::message_of(get); };
  const std::string path = file.path().string();
  EXPECT_EQ(complaint([&] { metadata.number<std::uint64_t>("phi3.block_count"); }),
            path + ": metadata key 'phi3.block_count': expected u64, found u32");
  EXPECT_EQ(complaint([&] { metadata.number_or<float>("phi3.block_count", 1.0F); }),
            path + ": metadata key 'phi3.block_count': expected f32, found u32");
  EXPECT_EQ(complaint([&] { metadata.number<std::uint32_t>("phi3.context_length"); }),
            path + ": the metadata key 'phi3.context_length' is missing");
  EXPECT_EQ(complaint([&] { metadata.string("tokens"); }),
            path + ": metadata key 'tokens': expected string, found array of 2 string");
  EXPECT_EQ(complaint([&] { metadata.numbers<float>("tokens"); }),
            path + ": metadata key 'tokens': expected array of f32, found array of 2 string");
  EXPECT_THAT(complaint([&] { metadata.strings("tokens", 1); }), HasSubstr("expected array of at most 1 string"));
  EXPECT_THAT(complaint([&] { metadata.strings("tokens", 2, 1); }), HasSubstr("expected at most 1 byte, found 2"));
  EXPECT_EQ(metadata.number_or<float>("phi3.rope.freq_base", 1e4F), 1e4F);
}

}  // namespace
}  // namespace nkat::gguf
