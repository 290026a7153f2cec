// GGUF files that are broken in one place each: all are refused with a message that says where and why.
#include "data/formats/gguf_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/raw_gguf.h"

namespace nkat::gguf {
namespace {

using nkat::testing::raw;
using nkat::testing::raw_array;
using nkat::testing::raw_pair;
using nkat::testing::raw_tensor;
using nkat::testing::raw_text;
using nkat::testing::RawGguf;
using ::testing::HasSubstr;

struct Corruption {
  const char* name;
  std::string bytes;
  const char* message;
};
void PrintTo(const Corruption& corruption, std::ostream* out) { *out << corruption.name; }

std::string with_pair(const std::string& pair) {
  RawGguf file;
  file.pairs.push_back(pair);
  return file.bytes();
}
std::string with_tensors(const std::vector<std::string>& tensors, std::size_t data = 0) {
  return RawGguf{.tensors = tensors, .data = std::string(data, 'x')}.bytes();
}
std::string with_alignment(std::uint32_t alignment) {
  return with_pair(raw_pair("general.alignment", 4, raw(alignment)));
}
std::string cut(std::size_t bytes) {
  const std::string file = RawGguf{}.bytes();
  return file.substr(0, file.size() - bytes);
}

std::vector<Corruption> start_corruptions() {
  return {
      {"EmptyFile", "", "at byte 0: the letters GGUF: expected 4 bytes, found 0"},
      {"WebPage", "<!doctype html>", "expected a GGUF file, found a web page; download it again"},
      {"OtherMagic", RawGguf{.magic = "GGML"}.bytes(), "expected GGUF as the first bytes"},
      {"VersionZero", RawGguf{.version = 0}.bytes(), "expected a little-endian file"},
      {"VersionOne", RawGguf{.version = 1}.bytes(), "expected version 2 or 3, found 1"},
      {"VersionFour", RawGguf{.version = 4}.bytes(), "expected version 2 or 3, found 4"},
      {"BigEndian", RawGguf{.version = 0x03000000}.bytes(), "version 0x3000000: expected a little-endian file"},
      {"NegativeTensorCount", RawGguf{.tensor_count = -1}.bytes(), "number of tensors: expected 0 to 65536, found -1"},
      {"HugeTensorCount", RawGguf{.tensor_count = INT64_MAX}.bytes(), "number of tensors: expected 0 to 65536"},
      {"MoreTensorsThanBytes", RawGguf{.tensor_count = 60'000}.bytes(), "expected at least 1980056 bytes"},
      {"NegativePairCount", RawGguf{.pair_count = INT64_MIN}.bytes(), "number of metadata pairs: expected 0 to 65536"},
      {"MorePairsThanBytes", RawGguf{.pair_count = 65'536}.bytes(),
       "65536 metadata pairs and 2 tensors: expected at least "},
      {"OnePairTooMany", RawGguf{.pair_count = 5}.bytes(), "a tensor's name: expected at most 63 bytes"},
      {"OneTensorTooMany", RawGguf{.tensor_count = 3}.bytes(), "its name: expected 1 to 63 bytes, found 0"},
  };
}

std::vector<Corruption> metadata_corruptions() {
  return {
      {"KeyTwice", with_pair(raw_pair("add_bos", 7, "\x01")), "duplicate metadata key 'add_bos'"},
      {"KeyEmpty", with_pair(raw_pair("", 7, "\x01")), "metadata key: expected 1 to 65535 bytes, found 0"},
      {"KeyWithNul", with_pair(raw_pair(std::string("a\0b", 3), 7, "\x01")), "metadata key: it holds a NUL"},
      {"KeyNotUtf8", with_pair(raw_pair("a\xFF", 7, "\x01")), "metadata key: it is not UTF-8"},
      {"KeyTooLong", with_pair(raw_pair(std::string(65'536, 'k'), 7, "\x01")), "expected at most 65535 bytes"},
      {"KeyLengthBeyondFile", with_pair(raw(std::uint64_t{60'000}) + "abc"), "a key: expected 60000 bytes"},
      {"KeyLengthOverflows", with_pair(raw(UINT64_MAX) + "abc"), "expected at most 65535 bytes"},
      {"ValueTypeThirteen", with_pair(raw_pair("k", 13, raw(1))), "expected a value type from 0 to 12, found 13"},
      {"ValueTypeNegative", with_pair(raw_pair("k", 0xFFFFFFFF, raw(1))), "expected a value type from 0 to 12"},
      {"BoolTwo", with_pair(raw_pair("k", 7, "\x02")), "a bool: expected 0 or 1, found 2"},
      {"BoolInArray", with_pair(raw_pair("k", 9, raw_array(7, 3, "\x01\x01\xFF"))), "expected 0 or 1, found 255"},
      {"StringBeyondFile", with_pair(raw_pair("k", 8, raw(std::uint64_t{1'000'000}))), "expected 1000000 bytes"},
      {"StringAboveLimit", with_pair(raw_pair("k", 8, raw(std::uint64_t{1} << 40))), "expected at most 67108864 bytes"},
      {"StringLengthOverflows", with_pair(raw_pair("k", 8, raw(UINT64_MAX))), "expected at most 67108864 bytes"},
      {"ArrayOfArrays", with_pair(raw_pair("k", 9, raw_array(9, 1, raw_array(4, 1, raw(1))))), "array of arrays"},
      {"ArrayOfUnknown", with_pair(raw_pair("k", 9, raw_array(99, 1, raw(1)))),
       "element type: expected a value type from 0 to 12"},
      {"ArrayBeyondFile", with_pair(raw_pair("k", 9, raw_array(4, 1000, raw(1)))), "array of 1000 u32 needs more"},
      {"ArrayCountOverflows", with_pair(raw_pair("k", 9, raw_array(12, std::uint64_t{1} << 61, ""))), "needs more"},
      {"ArrayCountAllOnes", with_pair(raw_pair("k", 9, raw_array(0, UINT64_MAX, ""))), "needs more"},
      {"ArrayOfStringsBeyondFile",
       with_pair(raw_pair("k", 9, raw_array(8, 2, raw_text("a") + raw(std::uint64_t{9'999})))),
       "an array's string: expected 9999 bytes"},
      {"ArrayOfStringsTooMany", with_pair(raw_pair("k", 9, raw_array(8, 1'000'000, raw_text("a")))), "needs more"},
      {"AlignmentZero", with_alignment(0), "expected a power of two up to 1048576, found 0"},
      {"AlignmentThree", with_alignment(3), "expected a power of two up to 1048576, found 3"},
      {"AlignmentTwoMiB", with_alignment(1U << 21), "expected a power of two up to 1048576"},
      {"AlignmentTwoToThirtyOne", with_alignment(1U << 31), "expected a power of two up to 1048576"},
      {"AlignmentAsU64", with_pair(raw_pair("general.alignment", 10, raw(std::uint64_t{32}))),
       "expected u32, found u64"},
  };
}

std::vector<Corruption> tensor_corruptions() {
  const std::string a = raw_tensor("a", {8}, 0, 0);
  constexpr std::int64_t k2To31 = std::int64_t{1} << 31;
  constexpr std::int64_t k2To32 = std::int64_t{1} << 32;
  constexpr std::int64_t k2To62 = std::int64_t{1} << 62;
  return {
      {"TensorTwice", with_tensors({a, raw_tensor("a", {8}, 0, 32)}, 64), "duplicate tensor 'a'"},
      {"NameEmpty", with_tensors({raw_tensor("", {8}, 0, 0)}, 32), "its name: expected 1 to 63 bytes, found 0"},
      {"NameOfSixtyFour", with_tensors({raw_tensor(std::string(64, 'n'), {8}, 0, 0)}, 32), "at most 63 bytes"},
      {"NameWithNul", with_tensors({raw_tensor(std::string("a\0b", 3), {8}, 0, 0)}, 32), "its name: it holds a NUL"},
      {"NameNotUtf8", with_tensors({raw_tensor("\xC0\x80", {8}, 0, 0)}, 32), "its name: it is not UTF-8"},
      {"NoDimensions", with_tensors({raw_tensor("a", {}, 0, 0) + raw(1LL)}, 32), "expected 1 to 4 dimensions, found 0"},
      {"FiveDimensions", with_tensors({raw_tensor("a", {1, 1, 1, 1, 8}, 0, 0)}, 32),
       "expected 1 to 4 dimensions, found 5"},
      {"DimensionZero", with_tensors({raw_tensor("a", {8, 0}, 0, 0)}, 32), "dimension 1: expected at least 1, found 0"},
      {"DimensionNegative", with_tensors({raw_tensor("a", {-8}, 0, 0)}, 32),
       "dimension 0: expected at least 1, found -8"},
      {"DimensionLowest", with_tensors({raw_tensor("a", {INT64_MIN}, 0, 0)}, 32), "expected at least 1"},
      {"ElementsOverflow", with_tensors({raw_tensor("a", {k2To62, 4}, 0, 0)}, 32), "number of elements overflows"},
      {"ElementsWrapToZero", with_tensors({raw_tensor("a", {k2To32, k2To32}, 0, 0)}, 32),
       "number of elements overflows"},
      {"BytesOverflow", with_tensors({raw_tensor("a", {k2To62}, 0, 0)}, 32), "number of bytes overflows"},
      {"LargerThanFile", with_tensors({raw_tensor("a", {k2To31, 2}, 0, 0)}, 32), "it is cut or damaged"},
      {"RetiredType", with_tensors({raw_tensor("a", {32}, 4, 0)}, 32), "type 4 is none that ggml has"},
      {"UnknownType", with_tensors({raw_tensor("a", {32}, 99, 0)}, 32), "type 99 is none"},
      {"TypeAllOnes", with_tensors({raw_tensor("a", {32}, 0xFFFFFFFF, 0)}, 32), "type 4294967295 is none"},
      {"HalfABlock", with_tensors({raw_tensor("a", {16, 2}, 8, 0)}, 64), "blocks of 32, found rows of 16"},
      {"NoSuperBlock", with_tensors({raw_tensor("a", {128, 2}, 12, 0)}, 160), "blocks of 256, found rows of 128"},
      {"FirstOffset", with_tensors({raw_tensor("a", {8}, 0, 32)}, 64), "expected offset 0"},
      {"Gap", with_tensors({a, raw_tensor("b", {8}, 0, 64)}, 96), "tensor 'b': expected offset 32"},
      {"Overlap", with_tensors({a, raw_tensor("b", {8}, 0, 0)}, 64), "tensor 'b': expected offset 32"},
      {"OffsetAllOnes", with_tensors({raw_tensor("a", {8}, 0, UINT64_MAX)}, 32), "expected offset 0"},
      {"SizesOverflow",
       with_tensors({raw_tensor("a", {k2To62 - 32}, 24, 0),
                     raw_tensor("b", {k2To62 - 32}, 24, static_cast<std::uint64_t>(k2To62 - 32)),
                     raw_tensor("c", {k2To62 - 32}, 24, static_cast<std::uint64_t>(2 * (k2To62 - 32)))},
                    32),
       "overflow 63 bits"},
      {"CutInTheLastTensor", cut(31), "tensor 'b.weight' needs bytes"},
      {"CutInTheFirstTensor", cut(64 + 20), "tensor 'a.weight' needs bytes"},
      {"NoData", RawGguf{.data = ""}.bytes(), "tensor 'a.weight' needs bytes"},
      {"Appended", RawGguf{}.bytes() + "x", "bytes were appended"},
      {"AppendedWithoutTensors", with_tensors({}, 1), "bytes were appended"},
  };
}

std::vector<Corruption> all_corruptions() {
  std::vector<Corruption> all = start_corruptions();
  for (auto& one : metadata_corruptions()) all.push_back(std::move(one));
  for (auto& one : tensor_corruptions()) all.push_back(std::move(one));
  return all;
}

class GgufCorruptionTest : public ::testing::TestWithParam<Corruption> {};

TEST_P(GgufCorruptionTest, IsRefusedByName) {
  const nkat::testing::Reader read = [](const std::string& bytes) {
    parse_gguf(std::as_bytes(std::span(bytes)), "x.gguf");
  };
  const std::string message = nkat::testing::complaint_about(read, GetParam().bytes);
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, ::testing::StartsWith("x.gguf: "));
}

INSTANTIATE_TEST_SUITE_P(Gguf, GgufCorruptionTest, ::testing::ValuesIn(all_corruptions()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace nkat::gguf
