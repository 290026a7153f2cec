#include "validation/statistics/running_median.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

double sorted_median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

std::vector<double> naive(const std::vector<double>& values, std::size_t positions, MedianWindow window) {
  std::vector<double> medians;
  for (std::size_t i = 0; i < positions; ++i) {
    std::vector<double> inside;
    for (std::size_t j = 0; j < values.size(); ++j) {
      if (j + window.before >= i && j <= i + window.after) inside.push_back(values[j]);
    }
    medians.push_back(sorted_median(inside));
  }
  return medians;
}

TEST(RunningMedian, EqualsSortingEachWindow) {
  RandomStream random(1, "running-median");
  for (const std::size_t n : {1, 2, 5, 31, 200}) {
    for (const MedianWindow window : {MedianWindow{0, 0}, {1, 0}, {0, 2}, {3, 3}, {25, 24}, {300, 300}}) {
      std::vector<double> values(n);
      // Few different values, so that windows hold equal ones.
      for (double& value : values) value = static_cast<double>(random.below(7)) - 3.0;
      EXPECT_EQ(running_median(values, n, window), naive(values, n, window)) << n << " " << window.before;
      for (double& value : values) value = random.normal();
      EXPECT_EQ(running_median(values, n, window), naive(values, n, window)) << n << " " << window.before;
    }
  }
}

TEST(RunningMedian, HasAPositionBeyondTheLastValueIfTheWindowReachesBack) {
  const std::vector<double> values = {3.0, 1.0, 2.0};
  EXPECT_EQ(running_median(values, 4, {2, 1}), naive(values, 4, {2, 1}));
}

TEST(RunningMedian, OfAWholeSeriesIsItsMedian) {
  RandomStream random(2, "running-median");
  for (std::size_t n = 1; n < 40; ++n) {
    std::vector<double> values(n);
    for (double& value : values) value = random.normal();
    EXPECT_EQ(median(values), sorted_median(values));
  }
}

}  // namespace
}  // namespace nkat::validation
