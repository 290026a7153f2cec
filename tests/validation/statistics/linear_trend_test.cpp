#include "validation/statistics/linear_trend.h"

#include <cmath>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

std::vector<double> counted(std::size_t count) {
  std::vector<double> x;
  for (std::size_t i = 0; i < count; ++i) x.push_back(static_cast<double>(i));
  return x;
}

// Share of `runs` series y = 2 + slope x + AR(1) noise whose interval holds the slope.
double coverage(std::size_t count, double correlation, int runs) {
  const std::vector<double> x = counted(count);
  constexpr double kSlope = -0.01;
  int held = 0;
  for (int run = 0; run < runs; ++run) {
    RandomStream random(11, "test-trend", static_cast<std::uint64_t>(run));
    double noise = random.normal() / std::sqrt(1 - correlation * correlation);  // stationary from the start
    std::vector<double> y;
    for (const double at : x) {
      y.push_back(2 + kSlope * at + noise);
      noise = correlation * noise + random.normal();
    }
    const Interval interval = linear_trend(x, y)->interval.value();
    held += interval.low <= kSlope && kSlope <= interval.high ? 1 : 0;
  }
  return held / static_cast<double>(runs);
}

TEST(LinearTrend, IsExactForALine) {
  const std::vector<double> x = {1, 2, 5, 9}, y = {3, 1, -5, -13};
  const Estimate slope = linear_trend(x, y).value();
  EXPECT_DOUBLE_EQ(slope.value, -2.0);
  EXPECT_NEAR(slope.interval->low, -2.0, 1e-14);
  EXPECT_NEAR(slope.interval->high, -2.0, 1e-14);
}

// Residuals that alternate have a negative correlation, so v = 1: t(6) sqrt(sum of squares / 6 / sum of (x - 3.5)^2).
TEST(LinearTrend, IsTheTextbookIntervalForNoiseWithoutPositiveCorrelation) {
  const std::vector<double> x = counted(8), y = {1.5, 1.0, 2.5, 2.0, 3.5, 3.0, 4.5, 4.0};  // 1 + x/2 +- 0.5
  const Estimate found = linear_trend(x, y).value();
  const double slope = 0.5 - 2.0 / 42;  // sum of (x - 3.5) +-0.5 is -2
  double squares = 0;
  for (std::size_t i = 0; i < 8; ++i) squares += std::pow(y[i] - 2.75 - slope * (x[i] - 3.5), 2.0);
  EXPECT_DOUBLE_EQ(found.value, slope);
  EXPECT_NEAR(found.interval->high - slope, 2.446911851 * std::sqrt(squares / 6 / 42), 1e-9);
  EXPECT_NEAR(slope - found.interval->low, found.interval->high - slope, 1e-12);
}

TEST(LinearTrend, HasNoIntervalForTwoPointsAndNothingForOne) {
  const std::vector<double> x = {1, 3}, y = {5, 6};
  EXPECT_DOUBLE_EQ(linear_trend(x, y)->value, 0.5);
  EXPECT_FALSE(linear_trend(x, y)->interval.has_value());
  EXPECT_FALSE(linear_trend(std::vector{1.0}, std::vector{2.0}).has_value());
}

// In closed form: tan(pi (p - 1/2)) with 1 degree, (2p - 1) / sqrt(2 p (1 - p)) with 2, for p = 0.975. The rest from
// published tables.
TEST(LinearTrend, KnowsStudentsDistribution) {
  EXPECT_NEAR(student_t_975(1), 12.7062047361747, 1e-12);
  EXPECT_NEAR(student_t_975(1), std::tan(std::numbers::pi * 0.475), 1e-12);
  EXPECT_NEAR(student_t_975(2), 0.95 / std::sqrt(2 * 0.975 * 0.025), 1e-14);
  EXPECT_NEAR(student_t_975(4), 2.776445105, 1e-9);
  EXPECT_NEAR(student_t_975(10), 2.228138852, 1e-9);
  EXPECT_NEAR(student_t_975(30), 2.042272456, 1e-9);
  EXPECT_NEAR(student_t_975(1e9), 1.959963984540054, 1e-8);
}

TEST(LinearTrend, KnowsFractionsOfADegree) {
  EXPECT_GT(student_t_975(1.5), student_t_975(2));
  EXPECT_LT(student_t_975(1.5), student_t_975(1));
}

// Three points have one degree: the interval is t(1) = 12.7 standard errors wide on each side.
TEST(LinearTrend, IntervalOfThreePointsIsThatOfOneDegree) {
  const std::vector<double> x = {0, 1, 2}, y = {0, 1, 0};  // slope 0, residuals -1/3, 2/3, -1/3
  const Estimate found = linear_trend(x, y).value();
  EXPECT_NEAR(found.value, 0.0, 1e-15);
  EXPECT_NEAR(found.interval->high, 12.7062047361747 * std::sqrt(6.0 / 9 / 1 / 2), 1e-12);
}

TEST(LagOneCorrelation, IsTheShareOfNeighborsInTheSquares) {
  EXPECT_DOUBLE_EQ(lag_one_correlation(std::vector{1.0, 1.0, -1.0}), 0.0);
  EXPECT_DOUBLE_EQ(lag_one_correlation(std::vector{1.0, -1.0, 1.0, -1.0}), -0.75);
  EXPECT_EQ(lag_one_correlation(std::vector{0.0, 0.0}), 0.0);
}

// 1,000 series: the share's own deviation is at most 0.01.
TEST(LinearTrend, CoversTheSlopeAsOftenAsItSays) {
  for (const std::size_t count : {12U, 60U, 200U, 1000U}) {
    for (const double correlation : {0.0, 0.3, 0.5}) {
      const double share = coverage(count, correlation, 1000);
      RecordProperty("coverage_" + std::to_string(count) + "_" + std::to_string(correlation), std::to_string(share));
      EXPECT_GE(share, 0.90) << count << " points, correlation " << correlation;
      EXPECT_LE(share, 0.99) << count << " points, correlation " << correlation;
    }
  }
}

}  // namespace
}  // namespace nkat::validation
