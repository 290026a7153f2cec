#include "export/merge/merged_weights.h"

#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace nkat::exporting {
namespace {

constexpr double kHalfUlp = 0x1p-24;

std::vector<float> random_values(std::size_t count, std::uint64_t seed, double scale) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

// Row 8 b + i of (blockdiag(M) W), in long double: 64-bit products of float32 numbers are exact, their sum nearly so.
long double expected(const std::vector<float>& blocks, const std::vector<float>& rows, std::size_t row_length,
                     std::size_t row, std::size_t column) {
  const std::size_t block = row / kBlockRows;
  long double sum = 0;
  for (std::size_t j = 0; j < kBlockRows; ++j) {
    sum += static_cast<long double>(blocks[(block * kBlockRows + row % kBlockRows) * kBlockRows + j]) *
           static_cast<long double>(rows[(block * kBlockRows + j) * row_length + column]);
  }
  return sum;
}

void expect_merged(std::size_t blocks_count, std::size_t row_length, double scale) {
  const std::vector<float> blocks = random_values(blocks_count * 64, 1, 1);
  const std::vector<float> base = random_values(blocks_count * kBlockRows * row_length, 2, scale);
  std::vector<float> merged = base;
  merge_rows(blocks, row_length, merged);
  for (std::size_t i = 0; i < merged.size(); ++i) {
    const long double exact = expected(blocks, base, row_length, i / row_length, i % row_length);
    // One rounding to float32 (half a unit in the last place, or half the smallest denormal), and eight in float64.
    long double magnitude = 0;
    for (std::size_t j = 0; j < kBlockRows; ++j) {
      const std::size_t row = i / row_length / kBlockRows * kBlockRows + j;
      magnitude += std::abs(blocks[i / row_length * kBlockRows + j] * base[row * row_length + i % row_length]);
    }
    const long double bound = kHalfUlp * std::abs(exact) + 0x1p-150L + 0x1p-49L * magnitude;
    ASSERT_LE(std::abs(merged[i] - exact), bound) << "element " << i;
  }
}

TEST(Merge, EqualsTheExactProductRoundedOnce) { expect_merged(5, 96, 0.02); }

TEST(Merge, HandlesRowsThatFillNoWholeStrip) {
  for (const std::size_t length : {1, 7, 63, 64, 65, 200}) expect_merged(3, length, 1.0);
}

TEST(Merge, KeepsTinyWeights) { expect_merged(2, 40, 1e-38); }

TEST(Merge, OfTheIdentityChangesNothing) {
  std::vector<float> blocks(2 * 64, 0.0f);
  for (std::size_t i = 0; i < 16; ++i) blocks[i * 8 + i % 8] = 1.0f;
  const std::vector<float> base = random_values(16 * 33, 3, 0.1);
  std::vector<float> merged = base;
  merge_rows(blocks, 33, merged);
  EXPECT_EQ(merged, base);
}

class OneVector final : public models::WeightSource {
 public:
  models::MatrixShape shape(const std::string&) const override { return {.rows = 1, .columns = 16}; }
  void read(const std::string&, std::size_t, std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i);
  }
  void release(const std::string&) const override {}
};

// h = W x + b, so M acts on b as on each column of W.
TEST(MergedWeights, ABiasIsMergedLikeAColumn) {
  const std::vector<float> blocks = random_values(2 * 64, 4, 1);
  const MergedWeights merged(std::make_unique<OneVector>(), {{"bias", blocks}});
  std::vector<float> found(16), bias(16);
  merged.read("bias", 0, found);
  OneVector().read("bias", 0, bias);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(found[i], static_cast<float>(expected(blocks, bias, 1, i, 0)));
}

}  // namespace
}  // namespace nkat::exporting
