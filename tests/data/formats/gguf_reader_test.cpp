#include "data/formats/gguf_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/raw_gguf.h"
#include "tests/support/temporary_folder.h"

namespace nkat::gguf {
namespace {

using nkat::testing::message_of;
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

// ---- split files

struct RawPart {
  std::uint16_t number = 0, count = 3;
  std::vector<std::string> keys = {};  // before the split ones
  std::string tensor = "a";            // one F32 {2}
  std::int32_t tensors = 3;
};

class SplitGgufTest : public ::testing::Test {
 protected:
  static std::string name(std::uint16_t number) { return "m-0000" + std::to_string(number + 1) + "-of-00003.gguf"; }
  fs::path write(const RawPart& part) const {
    RawGguf file{.pairs = part.keys,
                 .tensors = {raw_tensor(part.tensor, {2}, 0, 0)},
                 .data = std::string(8, static_cast<char>('0' + part.number))};
    file.pairs.push_back(raw_pair("split.no", 2, raw(part.number)));
    file.pairs.push_back(raw_pair("split.count", 2, raw(part.count)));
    file.pairs.push_back(raw_pair("split.tensors.count", 5, raw(part.tensors)));
    return folder_.write(name(part.number), file.bytes());
  }
  fs::path write_all() const {
    write({.number = 1, .tensor = "b"});
    write({.number = 2, .tensor = "c"});
    return write({.keys = {raw_pair("general.architecture", 8, raw_text("phi3"))}});
  }
  static std::string complaint(const fs::path& path) {
    return message_of<FormatError>([&] { GgufFile::with_all_parts(path); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(GgufReaderTest, AFileIsAModelByItsNameOrItsFirstBytes) {
  EXPECT_TRUE(is_gguf_model(folder_.write("a.gguf", "")));
  EXPECT_TRUE(is_gguf_model(folder_.write("b", RawGguf().bytes())));
  EXPECT_FALSE(is_gguf_model(folder_.write("model.safetensors", "GGU")));
  EXPECT_FALSE(is_gguf_model(folder_.path()));
  EXPECT_FALSE(is_gguf_model(folder_.path() / "none"));
}

TEST_F(SplitGgufTest, IsOneFileByItsFirstPart) {
  const GgufFile file = GgufFile::with_all_parts(write_all());
  ASSERT_EQ(file.tensors().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const GgufTensor& tensor = *file.find(std::string(1, static_cast<char>('a' + i)));
    EXPECT_EQ(file.bytes(tensor).front(), static_cast<std::byte>('0' + i));
    file.release(tensor);
    EXPECT_EQ(file.bytes(tensor).back(), static_cast<std::byte>('0' + i));
  }
  ASSERT_EQ(file.metadata().pairs().size(), 1U);
  EXPECT_EQ(file.metadata().string("general.architecture"), "phi3");
  EXPECT_EQ(file.parts().size(), 3U);
  EXPECT_EQ(file.parts()[2].filename(), name(2));
}

TEST_F(SplitGgufTest, AnUnsplitFileIsItself) {
  const fs::path path = folder_.write("x.gguf", RawGguf().bytes());
  EXPECT_EQ(GgufFile::with_all_parts(path).metadata().pairs(), GgufFile(path).metadata().pairs());
}

TEST_F(SplitGgufTest, APartIsReadByItselfWhereThatIsAsked) {
  write_all();
  EXPECT_EQ(GgufFile(folder_.path() / name(1)).tensors().size(), 1U);
}

TEST_F(SplitGgufTest, AnotherPartThanTheFirstNamesTheFirst) {
  write_all();
  EXPECT_THAT(complaint(folder_.path() / name(1)), HasSubstr("name the file that ends in -00001-of-00003.gguf"));
}

TEST_F(SplitGgufTest, AMissingPartIsNamed) {
  const fs::path first = write_all();
  fs::remove(folder_.path() / name(2));
  EXPECT_THAT(message_of<DataError>([&] { GgufFile::with_all_parts(first); }), HasSubstr(name(2)));
}

TEST_F(SplitGgufTest, PartsThatDontBelongTogetherAreRefused) {
  const fs::path first = write_all();
  write({.number = 1, .count = 4, .tensor = "b"});
  EXPECT_THAT(complaint(first), HasSubstr("split.count: expected 3, found 4"));
  write({.number = 1, .tensor = "a"});
  EXPECT_THAT(complaint(first), HasSubstr("tensor 'a' is in an earlier part too"));
  fs::copy_file(folder_.path() / name(2), folder_.path() / name(1), fs::copy_options::overwrite_existing);
  EXPECT_THAT(complaint(first), HasSubstr("split.no: expected 1, found 2"));
  write({.number = 1, .tensor = "b"});
  write({.tensors = 4});
  EXPECT_THAT(complaint(first), HasSubstr("split.tensors.count: expected 3, as many as the parts hold, found 4"));
}

TEST_F(SplitGgufTest, AFirstPartUnderAnotherNameIsRefused) {
  const fs::path renamed = folder_.path() / "other.gguf";
  fs::rename(write_all(), renamed);
  EXPECT_THAT(complaint(renamed), HasSubstr("expected one that ends in -00001-of-00003.gguf, found other.gguf"));
}

}  // namespace
}  // namespace nkat::gguf
