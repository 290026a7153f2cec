#include "data/quantize/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "tests/data/quantize/golden_blocks.h"
#include "tests/support/message_of.h"

namespace nkat::gguf {
namespace {

using enum GgmlType;
using ::testing::HasSubstr;

constexpr std::array kEncoded = {kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K};

struct Weights {
  std::vector<float> values;
  std::int64_t length = 0;
  std::vector<float> importance;
  Rows rows() const { return {values, length, importance}; }
};

std::vector<std::byte> encoded(GgmlType type, const Weights& weights, Instructions instructions) {
  std::vector<std::byte> bytes(tensor_bytes(type, weights.values.size()).value());
  encode_rows(type, weights.rows(), bytes, instructions);
  return bytes;
}

std::vector<float> decoded(GgmlType type, std::span<const std::byte> bytes, Instructions instructions) {
  std::vector<float> values(bytes.size() / traits(type).block_bytes * traits(type).block_elements);
  decode_rows(type, bytes, values, instructions);
  return values;
}

// Rows of normal numbers times a power of ten of their own, from subnormal to 1e4, with zeros of both signs.
Weights random_weights(std::int64_t rows, std::int64_t length, bool with_importance) {
  std::mt19937 random(static_cast<unsigned>(length) + (with_importance ? 1u : 0u));
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-44.0f, 3.5f), uniform;
  Weights weights{{}, length, {}};
  for (std::int64_t row = 0; row < rows; ++row) {
    const float size = std::pow(10.0f, exponent(random));
    for (std::int64_t i = 0; i < length; ++i) {
      const float x = normal(random) * size;
      weights.values.push_back(uniform(random) < 0.1f ? std::copysign(0.0f, x) : x);
    }
  }
  for (std::int64_t i = 0; with_importance && i < length; ++i) weights.importance.push_back(uniform(random));
  return weights;
}

std::string complaint(GgmlType type, const Weights& weights) {
  return nkat::testing::message_of<FormatError>([&] { encoded(type, weights, best_instructions()); });
}

std::vector<Instructions> runnable() {
  if (best_instructions() == Instructions::kPlain) return {Instructions::kPlain};
  return {Instructions::kPlain, best_instructions()};
}

TEST(Quantize, BlocksAreGgmlsByteForByte) {
  for (const Instructions instructions : runnable()) {
    for (const testing::GoldenBlock& golden : testing::kGoldenBlocks) {
      const std::size_t count =
          golden.hex.size() / 2 / traits(golden.type).block_bytes * traits(golden.type).block_elements;
      Weights weights{testing::golden_values(count), static_cast<std::int64_t>(count), {}};
      if (golden.with_importance) weights.importance = testing::golden_importance(count);
      EXPECT_EQ(testing::hex(encoded(golden.type, weights, instructions)), golden.hex) << traits(golden.type).name;
    }
  }
}

TEST(Quantize, ManyBlocksHaveTheDigestOfGgmls) {
  for (const Instructions instructions : runnable()) {
    for (const testing::GoldenDigest& golden : testing::kGoldenDigests) {
      Weights weights{testing::golden_rows(), testing::kGoldenRowLength, {}};
      if (golden.with_importance) weights.importance = testing::golden_row_importance();
      const auto bytes = encoded(golden.type, weights, instructions);
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      EXPECT_EQ(sha256_hex(text).substr(0, golden.sha256.size()), golden.sha256)
          << traits(golden.type).name << (golden.with_importance ? " with importance" : "");
    }
  }
}

TEST(Quantize, InstructionsDontChangeTheBytes) {
  if (best_instructions() == Instructions::kPlain) GTEST_SKIP() << "this processor has no AVX2";
  for (const GgmlType type : kEncoded) {
    for (const std::int64_t length : {std::int64_t{traits(type).block_elements}, std::int64_t{768}}) {
      for (const bool with_importance : {false, true}) {
        const Weights weights = random_weights(60, length, with_importance);
        const auto bytes = encoded(type, weights, Instructions::kPlain);
        EXPECT_EQ(bytes, encoded(type, weights, Instructions::kAvx2)) << traits(type).name << " " << length;
        EXPECT_EQ(decoded(type, bytes, Instructions::kPlain), decoded(type, bytes, Instructions::kAvx2));
      }
    }
  }
}

TEST(Quantize, ThreadsDontChangeTheBytes) {
  const Weights weights = random_weights(700, 1024, true);  // three turns of a thread
  for (const GgmlType type : {kF16, kQ8_0, kQ4_0, kQ6_K}) {
    std::vector<std::byte> bytes(tensor_bytes(type, weights.values.size()).value());
    encode_tensor(type, weights.rows(), bytes);
    EXPECT_EQ(bytes, encoded(type, weights, best_instructions())) << traits(type).name;
  }
}

TEST(Quantize, TheComplaintIsAboutTheFirstRowWhicheverThreadFindsOne) {
  Weights weights = random_weights(1200, 1024, false);
  for (std::size_t row = 500; row < 1200; row += 100)
    weights.values[row * 1024 + row] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::byte> bytes(tensor_bytes(kQ8_0, weights.values.size()).value());
  for (int repeat = 0; repeat < 5; ++repeat) {
    EXPECT_THAT(nkat::testing::message_of<FormatError>([&] { encode_tensor(kQ8_0, weights.rows(), bytes); }),
                HasSubstr("row 500, column 500:"));
  }
}

std::vector<std::uint16_t> encoded_words(GgmlType type, std::vector<float> values, Instructions instructions) {
  const auto length = static_cast<std::int64_t>(values.size());
  const auto bytes = encoded(type, {std::move(values), length, {}}, instructions);
  std::vector<std::uint16_t> words(bytes.size() / 2);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

TEST(Quantize, SixteenBitFloatsRoundTiesToEven) {
  using Words = std::vector<std::uint16_t>;
  for (const Instructions instructions : runnable()) {
    for (const std::size_t copies : {1u, 8u}) {  // one at a time, and a vector of them
      const auto words = [&](GgmlType type, float x) {
        return encoded_words(type, std::vector<float>(copies, x), instructions);
      };
      EXPECT_EQ(words(kF16, 1.0f + 0x1p-11f), Words(copies, 0x3C00));
      EXPECT_EQ(words(kF16, 1.0f + 0x3p-11f), Words(copies, 0x3C02));
      EXPECT_EQ(words(kF16, 0x1p-25f), Words(copies, 0x0000));
      EXPECT_EQ(words(kF16, -0x3p-25f), Words(copies, 0x8002));
      EXPECT_EQ(words(kBF16, 1.0f + 0x1p-8f), Words(copies, 0x3F80));
      EXPECT_EQ(words(kBF16, 1.0f + 0x3p-8f), Words(copies, 0x3F82));
    }
  }
}

TEST(Quantize, LevelsOfQ80RoundTiesAwayFromZero) {
  for (const Instructions instructions : runnable()) {
    Weights weights{std::vector<float>(32), 32, {}};
    std::ranges::copy(std::array{127.0f, 0.5f, -0.5f, 2.5f, -2.5f, 0.49999997f}, weights.values.begin());
    const auto back = decoded(kQ8_0, encoded(kQ8_0, weights, instructions), instructions);
    EXPECT_THAT(std::vector(back.begin(), back.begin() + 6),
                ::testing::ElementsAre(127.0f, 1.0f, -1.0f, 3.0f, -3.0f, 0.0f));
  }
}

// d = (the extreme) / -8: its sign tells which of two equal magnitudes was taken.
TEST(Quantize, OfEqualMagnitudesTheFirstIsTheExtreme) {
  for (const Instructions instructions : runnable()) {
    std::vector<float> values(32);
    values[3] = -1.0f, values[9] = 1.0f;
    EXPECT_EQ(encoded_words(kQ4_0, values, instructions)[0], 0x3000);
    std::swap(values[3], values[9]);
    EXPECT_EQ(encoded_words(kQ4_0, values, instructions)[0], 0xB000);
  }
}

TEST(Quantize, SubnormalBlocksWhoseInverseStepOverflowsHaveLevelZero) {
  for (const Instructions instructions : runnable()) {
    const auto words = encoded_words(kQ8_0, std::vector<float>(32, 1e-40f), instructions);
    EXPECT_EQ(words, std::vector<std::uint16_t>(17, 0));
  }
}

TEST(Quantize, LargeCopiesAreWholeWhereverTheyStart) {
  constexpr std::size_t kCount = (1u << 21) + 13;  // written past the cache
  Weights weights{std::vector<float>(kCount), static_cast<std::int64_t>(kCount), {}};
  for (std::size_t i = 0; i < kCount; ++i) weights.values[i] = static_cast<float>(i);
  std::vector<std::byte> room(4 * kCount + 64);
  for (const Instructions instructions : runnable()) {
    for (const std::size_t offset : {0u, 1u, 4u, 20u, 32u}) {
      const std::span<std::byte> out = std::span(room).subspan(offset, 4 * kCount);
      encode_rows(kF32, weights.rows(), out, instructions);
      EXPECT_TRUE(std::ranges::equal(out, std::as_bytes(std::span(weights.values)))) << offset;
    }
  }
  for (const std::size_t column : {std::size_t{0}, kCount / 2, kCount - 1}) {
    Weights broken = weights;
    broken.values[column] = std::numeric_limits<float>::infinity();
    EXPECT_THAT(complaint(kF32, broken), HasSubstr(fmt::format("row 0, column {}:", column)));
  }
}

TEST(Quantize, EveryHalfComesBackAsItWas) {
  std::vector<std::uint16_t> halves;
  for (std::uint32_t half = 0; half <= 0xFFFF; ++half) {
    if ((half & 0x7C00) != 0x7C00) halves.push_back(static_cast<std::uint16_t>(half));
  }
  const auto bytes = std::as_bytes(std::span(halves));
  for (const Instructions instructions : runnable()) {
    const Weights weights{decoded(kF16, bytes, instructions), static_cast<std::int64_t>(halves.size()), {}};
    EXPECT_EQ(encoded(kF16, weights, instructions), std::vector(bytes.begin(), bytes.end()));
  }
}

// The largest error that the format allows for one block, derived from its steps. A half keeps a number to 2^-11 of
// itself. Q8_0: half a step d, and 127 times what rounding changed d by. Q4_0, Q5_0: the end of the range that isn't
// the extreme's is one step short, so a whole step. Q5_1: half a step, and both roundings to halves. K types: the
// search moves the step from range / top by at most 1 part in top - 1 and cuts off at most a step; then six (Q6_K:
// eight) bits for the scale move the far end by top levels of half a unit, likewise the minimum by half of its unit.
double error_bound(GgmlType type, std::span<const float> x) {
  constexpr double kHalf = 0x1p-11;
  const auto [low, high] = std::ranges::minmax(x);
  const double most = std::max(std::abs(low), std::abs(high));
  const double range = std::max(high, 0.0f) - std::min(low, 0.0f);
  switch (type) {
    case kF32: return 0.0;
    case kF16: return most * kHalf;
    case kBF16: return most * 0x1p-8;
    case kQ8_0: return most / 127.0 * (0.5 + 127.0 * kHalf);
    case kQ4_0: return most / 8.0 * (1.0 + 8.0 * kHalf);
    case kQ5_0: return most / 16.0 * (1.0 + 16.0 * kHalf);
    case kQ5_1: return range / 31.0 * (0.5 + 31.0 * kHalf) + most * kHalf;
    case kQ4_K: return range / 14.0 * (1.0 + 0.5 * 15.0 / 63.0) + most * (0.5 / 63.0 + 3.0 * kHalf);
    case kQ5_K: return range / 30.0 * (1.0 + 0.5 * 31.0 / 63.0) + most * (0.5 / 63.0 + 3.0 * kHalf);
    case kQ6_K: return most / 31.0 * (1.0 + 32.0 * 0.5 / 128.0) + most * 3.0 * kHalf;
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

TEST(Quantize, DecodedWeightsAreWithinTheFormatsSteps) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  Weights weights{std::vector<float>(64 * 1024), 1024, {}};
  for (float& x : weights.values) x = normal(random);
  for (const GgmlType type : kEncoded) {
    const std::vector<float> back = decoded(type, encoded(type, weights, best_instructions()), best_instructions());
    const std::size_t block = std::max(32u, traits(type).block_elements);
    for (std::size_t i = 0; i < back.size(); i += block) {
      const double bound = error_bound(type, std::span(weights.values).subspan(i, block));
      for (std::size_t j = i; j < i + block; ++j) {
        ASSERT_LE(std::abs(double{back[j]} - weights.values[j]), bound) << traits(type).name << " element " << j;
      }
    }
  }
}

TEST(Quantize, ZerosComeBackAsZeros) {
  for (const GgmlType type : kEncoded) {
    const Weights weights{std::vector<float>(256), 256, {}};
    for (const float x : decoded(type, encoded(type, weights, best_instructions()), best_instructions()))
      EXPECT_EQ(x, 0.0f);
  }
}

TEST(Quantize, NumbersThatAreNotFiniteAreRefusedByRowAndColumn) {
  for (const GgmlType type : kEncoded) {
    for (const float broken : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                               std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      for (const std::size_t column : {0u, 100u, 511u}) {
        for (const bool with_importance : {false, true}) {
          Weights weights{std::vector<float>(3 * 512, 0.5f), 512, {}};
          if (with_importance) weights.importance.assign(512, 1.0f);
          weights.values[2 * 512 + column] = broken;
          EXPECT_THAT(complaint(type, weights),
                      HasSubstr(fmt::format("row 2, column {}: expected a finite weight, found ", column)))
              << traits(type).name << " " << broken;
        }
      }
    }
  }
}

// The largest magnitude of alternating weights that each type's halves can hold is between these two.
TEST(Quantize, BlocksWhoseScaleOverflowsAreRefused) {
  struct Limit {
    GgmlType type;
    float fits, overflows;
  };
  for (const Limit& limit :
       {Limit{kF16, 65519.0f, 65520.0f}, Limit{kBF16, 3.38e38f, 3.4e38f}, Limit{kQ8_0, 8.3e6f, 8.4e6f},
        Limit{kQ4_0, 5.2e5f, 5.3e5f}, Limit{kQ5_0, 1.04e6f, 1.05e6f}, Limit{kQ5_1, 65519.0f, 65520.0f},
        Limit{kQ4_K, 4.1e6f, 4.2e6f}, Limit{kQ5_K, 4.1e6f, 4.2e6f}, Limit{kQ6_K, 2.6e8f, 2.8e8f}}) {
    for (const Instructions instructions : runnable()) {
      Weights weights{std::vector<float>(512, 0.25f), 512, {}};
      for (std::size_t i = 256; i < 512; ++i) weights.values[i] = i % 2 == 0 ? limit.fits : -limit.fits;
      EXPECT_NO_THROW(encoded(limit.type, weights, instructions)) << traits(limit.type).name;
      for (std::size_t i = 256; i < 512; ++i) weights.values[i] = i % 2 == 0 ? limit.overflows : -limit.overflows;
      EXPECT_THROW(encoded(limit.type, weights, instructions), FormatError) << traits(limit.type).name;
    }
  }
}

TEST(Quantize, RefusalsNameTheBlockTheTypeAndWhatToDo) {
  Weights weights{std::vector<float>(512, 0.25f), 512, {}};
  weights.values[300] = -1e30f;
  const std::string message = complaint(kQ8_0, weights);
  EXPECT_EQ(message,
            "row 0, columns 288 to 319: weights of up to 1e+30 in magnitude don't fit q8_0, which would store "
            "infinity; choose a wider type");
}

TEST(Quantize, WeightsWhoseSumsOverflowAreRefusedRatherThanWipedOut) {
  for (const GgmlType type : {kQ4_0, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K}) {
    for (const float size : {1e9f, 1e15f, 1e20f, 3e38f}) {
      Weights weights{std::vector<float>(256, size), 256, std::vector<float>(256, 1.0f)};
      weights.values[7] = -size;
      EXPECT_THAT(complaint(type, weights), HasSubstr("would store infinity")) << traits(type).name << " " << size;
    }
  }
}

// Zeros beside the overflow: ggml's own sums turn into NaN there and it stores a block of zeros.
TEST(Quantize, OneHugeWeightAmongZerosIsRefusedRatherThanWipedOut) {
  for (const GgmlType type : {kQ4_K, kQ5_K}) {
    Weights weights{std::vector<float>(256), 256, std::vector<float>(256, 1.0f)};
    weights.values[7] = 1e20f;
    EXPECT_THAT(complaint(type, weights), HasSubstr("would store infinity")) << traits(type).name;
  }
}

TEST(Quantize, ImportanceMustBeFiniteAndNotNegative) {
  for (const float broken : {-1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Weights weights{std::vector<float>(256, 1.0f), 256, std::vector<float>(256, 1.0f)};
    weights.importance[9] = broken;
    EXPECT_THAT(complaint(kQ4_K, weights),
                HasSubstr("importance of column 9: expected a finite number of at least 0, found "));
  }
}

}  // namespace
}  // namespace nkat::gguf
