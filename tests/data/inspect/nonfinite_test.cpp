#include "data/inspect/nonfinite.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using gguf::GgmlType;
using ::testing::HasSubstr;

template <class Word>
std::string error_of(DType type, const std::vector<Word>& words) {
  return nkat::testing::message_of<FormatError>(
      [&] { require_finite(type, std::as_bytes(std::span(words)), "tensor 'w'"); });
}
template <class Word>
std::string error_of(GgmlType type, const std::vector<Word>& words) {
  return nkat::testing::message_of<FormatError>(
      [&] { EXPECT_TRUE(require_finite(type, std::as_bytes(std::span(words)), "tensor 'w'")); });
}

// Q8_0: a float16 scale and 32 ones a block; the scales of the `infinite` blocks are infinite.
std::vector<std::uint8_t> q8_0_blocks(std::size_t count, const std::vector<std::size_t>& infinite) {
  std::vector<std::uint8_t> bytes(34 * count, 1);
  for (std::size_t block = 0; block < count; ++block) {
    bytes[34 * block] = 0;
    bytes[34 * block + 1] = 0x3C;
  }
  for (const std::size_t block : infinite) bytes[34 * block + 1] = 0x7C;
  return bytes;
}

template <class Word>
void expect_edges(DType type, Word sign, Word largest, Word infinity, Word nan) {
  EXPECT_EQ(error_of<Word>(type, {0, sign, largest, static_cast<Word>(sign | largest)}), "");
  for (const Word bad : {infinity, static_cast<Word>(sign | infinity), nan, static_cast<Word>(sign | nan)}) {
    EXPECT_EQ(error_of<Word>(type, {largest, largest, bad}),
              "tensor 'w': element 2: expected a finite number, found infinity or not a number");
  }
}

// The words are those of IEEE 754; the NaN of each is the one nearest to infinity.
TEST(Nonfinite, TheLargestNumberOfEachTypePassesAndTheNextWordDoesNot) {
  expect_edges<std::uint16_t>(DType::kF16, 0x8000, 0x7BFF, 0x7C00, 0x7C01);
  expect_edges<std::uint16_t>(DType::kBF16, 0x8000, 0x7F7F, 0x7F80, 0x7F81);
  expect_edges<std::uint32_t>(DType::kF32, 0x8000'0000, 0x7F7F'FFFF, 0x7F80'0000, 0x7F80'0001);
  expect_edges<std::uint64_t>(DType::kF64, 0x8000'0000'0000'0000, 0x7FEF'FFFF'FFFF'FFFF, 0x7FF0'0000'0000'0000,
                              0x7FF0'0000'0000'0001);
}

TEST(Nonfinite, TheFirstBadElementIsNamed) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of<float>(DType::kF32, {kInfinity, 1, kInfinity}), HasSubstr("element 0:"));
  EXPECT_THAT(error_of<float>(DType::kF32, {1, kInfinity, kInfinity}), HasSubstr("element 1:"));
  EXPECT_EQ(error_of<float>(DType::kF32, {}), "");
}

TEST(Nonfinite, IntegersAreFiniteWhateverTheirBits) {
  for (const DType type : {DType::kI64, DType::kI32, DType::kI16, DType::kI8, DType::kU64, DType::kU32, DType::kU16,
                           DType::kU8, DType::kBool}) {
    EXPECT_EQ(error_of(type, std::vector<std::uint8_t>(16, 0xFF)), "") << dtype_name(type);
  }
}

TEST(Nonfinite, AScaleThatIsNotFiniteIsNamedByItsBlocksFirstElement) {
  EXPECT_EQ(error_of(GgmlType::kQ8_0, q8_0_blocks(600, {})), "");
  EXPECT_EQ(error_of(GgmlType::kQ8_0, q8_0_blocks(0, {})), "");
  EXPECT_THAT(error_of(GgmlType::kQ8_0, q8_0_blocks(600, {3, 5})), HasSubstr("tensor 'w': element 96:"));
}

// Blocks are decoded 512 at a time.
TEST(Nonfinite, ElementsBehindTheFirstPieceAreCountedFromTheTensorsStart) {
  EXPECT_THAT(error_of(GgmlType::kQ8_0, q8_0_blocks(600, {512})), HasSubstr("element 16384:"));
  EXPECT_THAT(error_of(GgmlType::kQ8_0, q8_0_blocks(600, {599})), HasSubstr("element 19168:"));
  std::vector<float> values(1100, 1.0F);
  values[1099] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of(GgmlType::kF32, values), HasSubstr("element 1099:"));
}

TEST(Nonfinite, ATypeWithoutADecoderIsNotCalledChecked) {
  const std::vector<std::uint8_t> block(84, 0xFF);
  EXPECT_FALSE(require_finite(GgmlType::kI8, std::as_bytes(std::span(block)), "tensor 'w'"));
}

}  // namespace
}  // namespace nkat::data
