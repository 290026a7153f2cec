#include "validation/statistics/bootstrap.h"

#include <cmath>
#include <iostream>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

// Samples of 5 to 40 targets whose mean nats scatter about `mean`.
std::vector<SampleSum> simulated(double mean, std::size_t count, std::uint64_t seed) {
  RandomStream stream(seed, "bootstrap-test");
  std::vector<SampleSum> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = static_cast<double>(5 + stream.below(36));
    samples.push_back({.sum = weight * (mean + 0.8 * stream.normal()), .weight = weight});
  }
  return samples;
}

double width(const Estimate& estimate) { return estimate.interval->high - estimate.interval->low; }

double coverage(std::size_t samples) {
  constexpr int kFiles = 1500;
  int covered = 0;
  for (int file = 0; file < kFiles; ++file) {
    const Estimate estimate = bootstrap_ratio(simulated(2.0, samples, static_cast<std::uint64_t>(file)));
    covered += estimate.interval->low <= 2.0 && 2.0 <= estimate.interval->high;
  }
  return static_cast<double>(covered) / kFiles;
}

// Of 1,500 simulated files: the share's own standard error is 0.6 %.
TEST(Bootstrap, IntervalCoversTheTruthNineteenTimesInTwenty) {
  const double share = coverage(60);
  std::cout << "coverage with 60 samples " << share << '\n';
  EXPECT_GE(share, 0.92);
  EXPECT_LE(share, 0.98);
}

// What the header admits: 1.96 standard deviations of n samples are too few, and so is their spread, by sqrt((n-1)/n).
TEST(Bootstrap, IntervalOfTenSamplesIsTooNarrow) {
  const double share = coverage(10);
  std::cout << "coverage with 10 samples " << share << '\n';
  EXPECT_GE(share, 0.85);
  EXPECT_LE(share, 0.92);
}

// Linearisation: the ratio's variance is Σ (sum_i - r weight_i)² / (Σ weight_i)²; 2,000 replicates estimate a width
// with a relative error of about 3 %.
TEST(Bootstrap, WidthIsThatOfTheDeltaMethodForManySamples) {
  const std::vector<SampleSum> samples = simulated(2.0, 1000, 5);
  const Estimate estimate = bootstrap_ratio(samples);
  double squares = 0.0;
  double weight = 0.0;
  for (const SampleSum& sample : samples) {
    squares += std::pow(sample.sum - estimate.value * sample.weight, 2);
    weight += sample.weight;
  }
  EXPECT_NEAR(width(estimate) / (2 * 1.96 * std::sqrt(squares) / weight), 1.0, 0.12);
}

TEST(Bootstrap, PairedDifferenceIsNarrowerThanTheDifferenceOfTwo) {
  const std::vector<SampleSum> base = simulated(2.0, 100, 1);
  std::vector<SampleSum> better = base;
  std::vector<SampleSum> change = base;
  RandomStream stream(2, "bootstrap-test");
  for (std::size_t i = 0; i < base.size(); ++i) {
    better[i].sum -= base[i].weight * (0.1 + 0.02 * stream.normal());
    change[i].sum = better[i].sum - base[i].sum;
  }
  const Estimate paired = bootstrap_ratio(change);
  EXPECT_NEAR(paired.value, bootstrap_ratio(better).value - bootstrap_ratio(base).value, 1e-12);
  EXPECT_LT(paired.interval->high, 0.0);
  EXPECT_LT(width(paired), 0.2 * std::hypot(width(bootstrap_ratio(base)), width(bootstrap_ratio(better))));
}

TEST(Bootstrap, EqualDataGiveEqualIntervals) {
  const std::vector<SampleSum> samples = simulated(1.0, 40, 3);
  EXPECT_EQ(bootstrap_ratio(samples).interval->low, bootstrap_ratio(samples).interval->low);
  EXPECT_EQ(bootstrap_ratio(samples).interval->high, bootstrap_ratio(samples).interval->high);
}

TEST(Bootstrap, OneSampleHasNoInterval) {
  const Estimate estimate = bootstrap_ratio(std::vector<SampleSum>{{.sum = 6.0, .weight = 4.0}});
  EXPECT_EQ(estimate.value, 1.5);
  EXPECT_FALSE(estimate.interval);
  EXPECT_FALSE(exponential(estimate).interval);
}

TEST(Bootstrap, EqualSamplesLeaveNoDoubt) {
  const Estimate estimate = bootstrap_ratio(std::vector<SampleSum>(9, {.sum = 1.0, .weight = 2.0}));
  EXPECT_EQ(estimate.interval->low, 0.5);
  EXPECT_EQ(estimate.interval->high, 0.5);
}

TEST(Bootstrap, ExponentialMapsValueAndInterval) {
  const Estimate estimate = exponential({.value = 1.0, .interval = Interval{0.0, 2.0}});
  EXPECT_EQ(estimate.value, std::exp(1.0));
  EXPECT_EQ(estimate.interval->low, 1.0);
  EXPECT_EQ(estimate.interval->high, std::exp(2.0));
}

}  // namespace
}  // namespace nkat::validation
