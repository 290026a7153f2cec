#include "data/formats/safetensors.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file of this header (padded) and so many bytes of data.
std::string file_of(std::string header, std::size_t data_size) {
  while (header.size() % 8 != 0) header += ' ';
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_size, 'x');
}

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class SafetensorsTest : public ::testing::Test {
 protected:
  void read(const std::string& bytes) { SafetensorsFile(folder_.write("model.safetensors", bytes)); }
  nkat::testing::Reader reader() {
    return [this](const std::string& bytes) { read(bytes); };
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(SafetensorsTest, ReadsWhatItWrote) {
  const std::vector<float> weight = {1, 2, 3, 4, 5, 6};
  const std::string file = serialize_safetensors({{"b", DType::kF32, {2, 3}, std::as_bytes(std::span(weight))},
                                                  {"a", DType::kF32, {}, as_bytes("abcd")},
                                                  {"wide", DType::kI64, {0, 5}, {}},
                                                  {"narrow", DType::kU8, {3}, as_bytes("xyz")}},
                                                 {{"format", "pt"}});
  const SafetensorsFile read_back(folder_.write("x.safetensors", file));
  ASSERT_EQ(read_back.tensors().size(), 4u);
  EXPECT_EQ(read_back.metadata().at("format"), "pt");
  const TensorInfo* info = read_back.find("b");
  ASSERT_NE(info, nullptr);
  EXPECT_THAT(info->shape, ElementsAre(2, 3));
  EXPECT_EQ(std::memcmp(read_back.bytes(*info).data(), weight.data(), 24), 0);
  read_back.release(*info);
  EXPECT_EQ(std::memcmp(read_back.bytes(*info).data(), weight.data(), 24), 0);
  EXPECT_TRUE(read_back.bytes(*read_back.find("wide")).empty());
  EXPECT_EQ(read_back.find("c"), nullptr);
}

// The bytes that the official Python package writes for these tensors (safetensors 0.6.2, torch.save format "pt").
TEST_F(SafetensorsTest, WritesTheOfficialOrder) {
  const std::string zeros(64, '\0');
  const auto bytes = [&](std::size_t count) { return as_bytes(zeros).first(count); };
  const std::string file = serialize_safetensors({{"b", DType::kF32, {2, 3}, bytes(24)},
                                                  {"a", DType::kBF16, {4}, bytes(8)},
                                                  {"i", DType::kI8, {3}, bytes(3)},
                                                  {"u", DType::kU8, {3}, bytes(3)},
                                                  {"l", DType::kI64, {}, bytes(8)},
                                                  {"h", DType::kF16, {5}, bytes(10)},
                                                  {"z", DType::kF32, {0, 2}, bytes(0)},
                                                  {"q", DType::kI16, {2}, bytes(4)},
                                                  {"bo", DType::kBool, {2}, bytes(2)},
                                                  {"ii", DType::kI32, {1}, bytes(4)},
                                                  {"d", DType::kF64, {1}, bytes(8)}},
                                                 {{"format", "pt"}});
  const std::string expected =
      R"({"__metadata__":{"format":"pt"},"l":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("d":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)"
      R"("z":{"dtype":"F32","shape":[0,2],"data_offsets":[40,40]},"ii":{"dtype":"I32","shape":[1],"data_offsets":[40,44]},)"
      R"("a":{"dtype":"BF16","shape":[4],"data_offsets":[44,52]},"h":{"dtype":"F16","shape":[5],"data_offsets":[52,62]},)"
      R"("q":{"dtype":"I16","shape":[2],"data_offsets":[62,66]},"i":{"dtype":"I8","shape":[3],"data_offsets":[66,69]},)"
      R"("u":{"dtype":"U8","shape":[3],"data_offsets":[69,72]},"bo":{"dtype":"BOOL","shape":[2],"data_offsets":[72,74]}})";
  EXPECT_EQ(file.substr(8, expected.size()), expected);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(file.size(), 8 + length + 74);
}

TEST_F(SafetensorsTest, AcceptsUnalignedHeadersAndWhiteSpaceAroundThem) {
  const std::string header = " {\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}\n";
  EXPECT_NO_THROW(read(with_length(header.size(), header + "x")));
  EXPECT_NO_THROW(read(file_of("{}", 0)));
}

struct Corruption {
  const char* name;
  std::string bytes;
  const char* message;
};

std::string many(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

std::string tensor(const std::string& fields) { return R"({"a":{)" + fields + "}}"; }

std::vector<Corruption> corruptions() {
  const std::string f32 = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  std::vector<Corruption> all = {
      {"EmptyFile", "", "the header's length: expected 8 bytes, found 0"},
      {"FailedDownload", "Entry not found", "expected a safetensors file, found the text 'Entry not found'"},
      {"SevenBytes", "1234567", "the header's length: expected 8 bytes, found 7"},
      {"HeaderLongerThanFile", with_length(100, "{}"),
       "at byte 8: the header: expected 100 bytes, found 2; the file is cut"},
      {"HeaderAboveLimit", with_length(100'000'001, "{}"), "the header: expected at most 100000000 bytes"},
      {"HeaderLengthOverflows", with_length(~std::uint64_t{0}, "{}"), "the header: expected at most 100000000 bytes"},
      {"EmptyHeader", with_length(0, ""), "not valid JSON"},
      {"HeaderIsList", file_of("[]", 0), "expected a JSON object"},
      {"HeaderIsNumber", file_of("5", 0), "expected a JSON object"},
      {"HeaderIsTwoObjects", file_of("{}{}", 0), "not valid JSON"},
      {"HeaderIsCutJson", file_of(R"({"a":{)", 0), "not valid JSON"},
      {"HeaderNotUtf8", file_of("{\"\xFF\":{}}", 0), "not valid JSON"},
      {"HeaderDeep", file_of(R"({"a":[[[[[[[[]]]]]]]]})", 0), "nested deeper"},
      {"FourLevels", file_of(tensor(R"("dtype":"U8","shape":[[1]],"data_offsets":[0,1])"), 1), "integers >= 0"},
      {"FiveLevels", file_of(tensor(R"("dtype":"U8","shape":[[[1]]],"data_offsets":[0,1])"), 1),
       "nested deeper than 4 levels"},
      {"TensorTwice", file_of(R"({"a":{)" + f32 + R"(},"a":{)" + f32 + "}}", 8), "duplicate tensor 'a'"},
      {"FieldTwice", file_of(tensor(f32 + R"(,"shape":[2])"), 8), "duplicate key 'shape'"},
      {"UnknownField", file_of(tensor(f32 + R"(,"stride":[1])"), 8), "unknown field 'stride'"},
      {"MissingField", file_of(tensor(R"("dtype":"F32","shape":[2])"), 8),
       "expected dtype, shape and data_offsets, found only 2"},
      {"TensorIsNumber", file_of(R"({"a":3})", 0), "expected an object with dtype"},
      {"UnknownDtype", file_of(tensor(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), 8), "found 'F31'"},
      {"EightBitFloat", file_of(tensor(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])"), 8), "found 'F8_E4M3'"},
      {"FourBitFloat", file_of(tensor(R"("dtype":"F4","shape":[8],"data_offsets":[0,4])"), 8),
       "found 'F4'; quantized weights: use the unquantized model"},
      {"DtypeIsNumber", file_of(tensor(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), 8),
       "dtype: expected a string, found number"},
      {"NegativeDimension", file_of(tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), 8), "integers >= 0"},
      {"FloatDimension", file_of(tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), 8), "integers >= 0"},
      {"HugeDimension", file_of(tensor(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,8])"), 8),
       "too large"},
      {"ProductOverflows", file_of(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
       "overflows"},
      {"BytesOverflow", file_of(tensor(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"), 0),
       "overflows"},
      {"RankNine", file_of(tensor(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])"), 1),
       "expected at most 8 dimensions"},
      {"ShapeAgainstRange", file_of(tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), 8), "needs 12 bytes"},
      {"OffsetsReversed", file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), 8), "begin <= end"},
      {"ThreeOffsets", file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), 8), "begin <= end"},
      {"GapAtStart", file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])"), 12), "no gaps"},
      {"Overlap", file_of(R"({"a":{)" + f32 + R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
       "no overlaps"},
      {"Alias", file_of(R"({"a":{)" + f32 + R"(},"b":{)" + f32 + "}}", 8), "no overlaps"},
      {"DataCut", file_of(tensor(f32), 7), "cut or has bytes appended"},
      {"DataAppended", file_of(tensor(f32), 9), "cut or has bytes appended"},
      {"NameEmpty", file_of(R"({"":{)" + f32 + "}}", 8), "expected 1 to 256 bytes"},
      {"NameTooLong", file_of("{\"" + std::string(257, 'n') + "\":{" + f32 + "}}", 8), "expected 1 to 256 bytes"},
      {"NameWithNul", file_of(R"({"a\u0000b":{)" + f32 + "}}", 8), "control characters"},
      {"LongField", file_of(tensor(f32 + ",\"" + std::string(1 << 20, 'f') + "\":1"), 8), "fff ...'"},
      {"LongDtype",
       file_of(tensor("\"dtype\":\"" + std::string(1 << 20, 'F') + R"(","shape":[2],"data_offsets":[0,8])"), 8),
       "FFF ...'"},
      {"HugeNumber", file_of(tensor(R"("dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,8])"), 8),
       "integers >= 0"},
      {"ManyDimensions",
       file_of(tensor(R"("dtype":"U8","data_offsets":[0,8],"shape":[1)" + many(",1", 2'000'000) + "]"), 8),
       "values that fit in 48 MiB"},
      {"MetadataTwice", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "duplicate __metadata__"},
      {"MetadataHoldsNumber", file_of(R"({"__metadata__":{"a":1}})", 0),
       "__metadata__: key 'a': expected a string, found number"},
      {"MetadataIsList", file_of(R"({"__metadata__":[]})", 0),
       "__metadata__: expected an object of strings, found array"}};
  return all;
}

TEST_F(SafetensorsTest, RefusesEachCorruptionByName) {
  for (const Corruption& one : corruptions()) {
    EXPECT_THAT(nkat::testing::complaint_about(reader(), one.bytes), HasSubstr(one.message)) << one.name;
  }
}

TEST_F(SafetensorsTest, RefusesMoreTensorsThanTheLimit) {
  std::string header = "{";
  for (int i = 0; i <= 131'073; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  EXPECT_THAT(nkat::testing::complaint_about(reader(), file_of(header + "}", 0)),
              HasSubstr("expected at most 131072 tensors"));
}

}  // namespace
}  // namespace nkat::data
