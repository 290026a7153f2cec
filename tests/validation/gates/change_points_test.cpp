#include "validation/gates/change_points.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

struct Sample {
  std::vector<double> values;
  std::vector<double> scale;

  WeightedSeries series() const { return {values, scale}; }
};

// Weighted sum of squares about the weighted mean, term by term.
double cost(const Sample& sample, std::size_t begin, std::size_t end) {
  double weights = 0.0;
  double moments = 0.0;
  for (std::size_t i = begin; i < end; ++i) {
    weights += 1.0 / (sample.scale[i] * sample.scale[i]);
    moments += sample.values[i] / (sample.scale[i] * sample.scale[i]);
  }
  double squares = 0.0;
  for (std::size_t i = begin; i < end; ++i) {
    const double residual = (sample.values[i] - moments / weights) / sample.scale[i];
    squares += residual * residual;
  }
  return squares;
}

double cost(const Sample& sample, const std::vector<std::size_t>& starts, double penalty) {
  double total = penalty * static_cast<double>(starts.size() - 1);
  for (std::size_t k = 0; k < starts.size(); ++k)
    total += cost(sample, starts[k], k + 1 < starts.size() ? starts[k + 1] : sample.values.size());
  return total;
}

// Every last change is tried for every end: cubic in n.
double least_cost(const Sample& sample, const SegmentationRule& rule) {
  const std::size_t n = sample.values.size();
  std::vector<double> least(n + 1, std::numeric_limits<double>::infinity());
  for (std::size_t end = 1; end <= n; ++end) {
    least[end] = cost(sample, 0, end);
    for (std::size_t start = rule.min_length; start + rule.min_length <= end; ++start)
      least[end] = std::min(least[end], least[start] + cost(sample, start, end) + rule.penalty);
  }
  return least[n];
}

// Every one of the 2^(n-1) partitions.
double least_cost_of_all(const Sample& sample, const SegmentationRule& rule) {
  const std::size_t n = sample.values.size();
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t mask = 0; mask < (std::size_t{1} << (n - 1)); ++mask) {
    std::vector<std::size_t> starts = {0};
    for (std::size_t i = 1; i < n; ++i) {
      if ((mask >> (i - 1) & 1) != 0) starts.push_back(i);
    }
    bool allowed = true;
    for (std::size_t k = 0; k < starts.size() && starts.size() > 1; ++k)
      allowed = allowed && (k + 1 < starts.size() ? starts[k + 1] : n) - starts[k] >= rule.min_length;
    if (allowed) least = std::min(least, cost(sample, starts, rule.penalty));
  }
  return least;
}

Sample random_sample(std::size_t n, std::uint64_t number) {
  RandomStream random(4, "force-partition", number);
  Sample sample;
  double level = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    if (random.below(12) == 0) level = 3.0 * random.normal();
    sample.scale.push_back(0.2 + random.uniform());
    sample.values.push_back(level + sample.scale.back() * random.normal());
  }
  return sample;
}

// Costs are sums of at most 200 terms of at most 1e4; rounding moves them by less than 1e-9.
constexpr double kRounding = 1e-9;

TEST(ChangePoints, IsTheBestOfAllPartitions) {
  for (std::uint64_t number = 0; number < 60; ++number) {
    const Sample sample = random_sample(1 + number % 12, number);
    for (const SegmentationRule rule : {SegmentationRule{0.5, 1}, {2.0, 2}, {6.0, 3}, {0.0, 1}}) {
      const auto starts = segment_starts(sample.series(), rule);
      EXPECT_NEAR(cost(sample, starts, rule.penalty), least_cost_of_all(sample, rule), kRounding) << number;
    }
  }
}

TEST(ChangePoints, EqualsTheSearchOverEveryChange) {
  for (std::uint64_t number = 0; number < 40; ++number) {
    const Sample sample = random_sample(60 + 3 * number, 100 + number);
    for (const SegmentationRule rule : {SegmentationRule{1.0, 1}, {5.0, 4}, {20.0, 10}, {100.0, 10}}) {
      const auto starts = segment_starts(sample.series(), rule);
      ASSERT_NEAR(cost(sample, starts, rule.penalty), least_cost(sample, rule), kRounding) << number;
      ASSERT_EQ(starts.front(), 0u);
      for (std::size_t k = 0; k < starts.size() && starts.size() > 1; ++k)
        ASSERT_GE((k + 1 < starts.size() ? starts[k + 1] : sample.values.size()) - starts[k], rule.min_length);
    }
  }
}

TEST(ChangePoints, FindsStepsWithoutNoise) {
  Sample sample{std::vector<double>(100, 1.0), std::vector<double>(100, 0.1)};
  std::fill(sample.values.begin() + 33, sample.values.end(), -1.0);
  std::fill(sample.values.begin() + 70, sample.values.end(), 2.0);
  EXPECT_EQ(segment_starts(sample.series(), {10.0, 10}), (std::vector<std::size_t>{0, 33, 70}));
}

TEST(ChangePoints, LeavesEqualValuesInOneSegment) {
  const Sample sample{std::vector<double>(500, 0.3), std::vector<double>(500, 1.0)};
  EXPECT_EQ(segment_starts(sample.series(), {1.0, 10}), std::vector<std::size_t>{0});
}

TEST(ChangePoints, LeavesASeriesThatIsTooShortForTwoSegmentsWhole) {
  const Sample sample{{0.0, 100.0, 200.0}, {1.0, 1.0, 1.0}};
  EXPECT_EQ(segment_starts(sample.series(), {0.1, 2}), std::vector<std::size_t>{0});
}

Sample long_sample(std::size_t n, double height) {
  RandomStream random(5, "force-partition");
  Sample sample{std::vector<double>(n), std::vector<double>(n, 1.0)};
  for (std::size_t i = 0; i < n; ++i) sample.values[i] = (i >= 2003 && i < 5001 ? height : 0.0) + random.normal();
  return sample;
}

TEST(ChangePoints, FindsTheStepsOfALongSeries) {
  // 20 standard deviations high, so that the best place is theirs but for a chance of 1e-20.
  EXPECT_EQ(segment_starts(long_sample(7500, 20.0).series(), {30.0, 75}), (std::vector<std::size_t>{0, 2003, 5001}));
}

TEST(ChangePoints, MovesChangesFromTheGridToTheirBestPlaces) {
  const WeightedSeries series = long_sample(7500, 2.0).series();
  const auto exact = segment_starts(series, {30.0, 75});
  ASSERT_EQ(exact.size(), 3u);
  EXPECT_NE(exact[1] % 7, 0u);
  EXPECT_EQ(segment_starts(series, {30.0, 75, 7}), exact);
}

TEST(WeightedSeries, GivesWeightedMeansInTheForcesUnits) {
  const Sample sample{{1e-6, 3e-6, -2e-6, 5e-6}, {1e-6, 2e-6, 1e-6, 4e-6}};
  const WeightedSeries series = sample.series();
  // Weights 1, 1/4, 1, 1/16 in units of 1e12.
  EXPECT_NEAR(series.mean(0, 4), (1.0 + 0.75 - 2.0 + 0.3125) / 2.3125 * 1e-6, 1e-20);
  EXPECT_NEAR(series.weight(0, 4) * 1e-12, 2.3125, 1e-12);
  EXPECT_NEAR(series.mean(1, 3), (0.75 - 2.0) / 1.25 * 1e-6, 1e-20);
}

TEST(WeightedSeries, LosesNothingToALargeMean) {
  RandomStream random(7, "weighted-series");
  Sample small{std::vector<double>(1000), std::vector<double>(1000, 1e-6)};
  for (double& value : small.values) value = 1e-6 * static_cast<double>(random.below(64));
  for (std::size_t i = 400; i < 1000; ++i) small.values[i] += 2e-5;
  Sample large = small;
  for (double& value : large.values) value += 1000.0;
  EXPECT_EQ(segment_starts(small.series(), {3000.0, 10}), segment_starts(large.series(), {3000.0, 10}));
}

}  // namespace
}  // namespace nkat::validation
