#include "validation/statistics/linear_trend.h"

#include <cmath>
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
  EXPECT_NEAR(found.interval->high - slope, 2.4469 * std::sqrt(squares / 6 / 42), 1e-4);
  EXPECT_NEAR(slope - found.interval->low, found.interval->high - slope, 1e-12);
}

TEST(LinearTrend, HasNoIntervalForTwoPointsAndNothingForOne) {
  const std::vector<double> x = {1, 3}, y = {5, 6};
  EXPECT_DOUBLE_EQ(linear_trend(x, y)->value, 0.5);
  EXPECT_FALSE(linear_trend(x, y)->interval.has_value());
  EXPECT_FALSE(linear_trend(std::vector{1.0}, std::vector{2.0}).has_value());
}

// Tables of Student's distribution, 97.5 %. Below 4 degrees the expansion's next term no longer vanishes: the header
// promises 1 % at 2, and 11 % low, never high, at 1.
TEST(LinearTrend, KnowsStudentsDistribution) {
  EXPECT_NEAR(student_t_975(4), 2.7764, 1e-3);
  EXPECT_NEAR(student_t_975(10), 2.2281, 1e-4);
  EXPECT_NEAR(student_t_975(30), 2.0423, 1e-4);
  EXPECT_NEAR(student_t_975(1e9), 1.9600, 1e-4);
  EXPECT_NEAR(student_t_975(2) / 4.3027, 1.0, 0.01);
  EXPECT_NEAR(student_t_975(1) / 12.7062, 0.89, 0.005);
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
