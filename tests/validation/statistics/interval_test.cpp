#include "validation/statistics/interval.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

struct Published {
  std::int64_t right, questions;
  double low, high;
};

// Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3; four decimals.
TEST(WilsonInterval, EqualsPublishedValues) {
  for (const auto& [right, questions, low, high] : std::vector<Published>{
           {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0, 0.1611}, {1, 29, 0.0061, 0.1718}}) {
    const Interval interval = wilson_interval(right, questions);
    EXPECT_NEAR(interval.low, low, 0.5e-4) << right << " of " << questions;
    EXPECT_NEAR(interval.high, high, 0.5e-4) << right << " of " << questions;
  }
}

// At each end the observed share is exactly z standard errors away; a few roundings of numbers below 4.
TEST(WilsonInterval, EndsWhereTheShareIsJustNotSurprising) {
  for (const std::int64_t questions : {1, 2, 7, 100, 100000}) {
    for (const std::int64_t right : {std::int64_t{0}, std::int64_t{1}, questions / 2, questions}) {
      const double share = static_cast<double>(right) / static_cast<double>(questions);
      const Interval interval = wilson_interval(right, questions);
      for (const double end : {interval.low, interval.high}) {
        if (end == 0.0 || end == 1.0) continue;
        const double z2 = (share - end) * (share - end) * static_cast<double>(questions) / (end * (1 - end));
        EXPECT_NEAR(std::sqrt(z2), 1.959963984540054, 1e-9) << right << " of " << questions;
      }
      EXPECT_LE(interval.low, share);
      EXPECT_GE(interval.high, share);
    }
  }
}

TEST(WilsonInterval, KnowsNothingWithoutQuestionsAndKeepsTheEndsOfTheScale) {
  EXPECT_EQ(wilson_interval(0, 0).low, 0.0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1.0);
  EXPECT_EQ(wilson_interval(0, 3).low, 0.0);
  EXPECT_EQ(wilson_interval(3, 3).high, 1.0);
}

// Probabilities of the number of heads in n tosses, by tossing one coin after the other.
std::vector<double> heads(std::int64_t n) {
  std::vector<double> chance = {1.0};
  for (std::int64_t toss = 0; toss < n; ++toss) {
    chance.push_back(0.0);
    for (std::size_t k = chance.size() - 1; k > 0; --k) chance[k] = (chance[k] + chance[k - 1]) / 2;
    chance[0] /= 2;
  }
  return chance;
}

// Each toss rounds once (n 1.1e-16).
TEST(McNemar, EqualsTheSumOverAllSplitsAtLeastAsUneven) {
  for (const std::int64_t n : {1, 2, 9, 40, 1000}) {
    const std::vector<double> chance = heads(n);
    for (std::int64_t lost = 0; lost <= n; lost += std::max<std::int64_t>(1, n / 37)) {
      double expected = 0.0;
      for (std::int64_t k = 0; k <= n; ++k) {
        if (std::abs(2 * k - n) >= std::abs(2 * lost - n)) expected += chance[static_cast<std::size_t>(k)];
      }
      EXPECT_NEAR(mcnemar_p(n - lost, lost) / expected, 1.0, 1e-11) << n << " " << lost;
    }
  }
}

TEST(McNemar, EqualsValuesByHand) {
  EXPECT_EQ(mcnemar_p(0, 0), 1.0);
  EXPECT_EQ(mcnemar_p(7, 7), 1.0);
  EXPECT_NEAR(mcnemar_p(10, 0), 2.0 / 1024, 1e-15);
  EXPECT_NEAR(mcnemar_p(1, 9), 2.0 * 11 / 1024, 1e-15);
  EXPECT_EQ(mcnemar_p(1, 9), mcnemar_p(9, 1));
  EXPECT_NEAR(mcnemar_p(5, 15), 0.04138946533203125, 1e-15);  // 2 * 21700 / 2^20
}

TEST(McNemar, StaysAProbabilityForLargeCounts) {
  EXPECT_EQ(mcnemar_p(100000, 0), 0.0);
  // Normal approximation with continuity correction: z = 99 / sqrt(100000); the correction's error is O(1/n).
  EXPECT_NEAR(mcnemar_p(50050, 49950), std::erfc(99 / std::sqrt(2.0 * 100000)), 1e-5);
}

}  // namespace
}  // namespace nkat::validation
