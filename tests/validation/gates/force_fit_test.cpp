#include "validation/gates/force_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.h"
#include "validation/gates/gate_verdict.h"
#include "validation/statistics/linear_trend.h"

namespace nkat::validation {
namespace {

std::vector<double> noise(std::size_t n, double correlation = 0.0) {
  RandomStream random(3, "noise-scale");
  std::vector<double> values(n);
  double state = random.normal();
  for (double& value : values) {
    state = correlation * state + std::sqrt(1.0 - correlation * correlation) * random.normal();
    value = state;
  }
  return values;
}

double mean(const std::vector<double>& values, std::size_t begin, std::size_t end) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(begin),
                         values.begin() + static_cast<std::ptrdiff_t>(end), 0.0) /
         static_cast<double>(end - begin);
}

TEST(NoiseScale, IsTheStandardDeviationOfWhiteNoise) {
  const ScaledForce scaled = scale_noise(noise(20'000));
  // Median of 20,000 differences: 1 % error, and the mean of window medians is about as good.
  EXPECT_NEAR(mean(scaled.scale, 0, 20'000), 1.0, 0.03);
  EXPECT_NEAR(scaled.lag_one_correlation, 0.0, 0.03);
}

TEST(NoiseScale, FollowsNoiseThatChanges) {
  std::vector<double> force = noise(2000);
  for (std::size_t i = 0; i < 500; ++i) force[i] *= 5.0;
  const ScaledForce scaled = scale_noise(force);
  // 101 differences a window, medians about 12 % uncertain; their mean over the stretch about 5 %.
  EXPECT_NEAR(mean(scaled.scale, 0, 400), 5.0, 0.9);
  EXPECT_NEAR(mean(scaled.scale, 600, 2000), 1.0, 0.1);
}

TEST(NoiseScale, IsTheWrittenFormulaAtOneStep) {
  const std::vector<double> force = noise(1200);
  const ScaledForce scaled = scale_noise(force);
  // n/40 = 30 steps to both sides of step 700: 60 differences.
  std::vector<double> differences;
  for (std::size_t i = 670; i < 730; ++i) differences.push_back(std::abs(force[i + 1] - force[i]));
  std::ranges::sort(differences);
  EXPECT_DOUBLE_EQ(scaled.scale[700], 1.4826 / std::sqrt(2.0) * 0.5 * (differences[29] + differences[30]));
}

TEST(NoiseScale, IsNeverBelowATwentiethOfTheWholeSeries) {
  std::vector<double> force = noise(2000);
  for (std::size_t i = 900; i < 1100; ++i) force[i] *= 1e-6;
  const ScaledForce scaled = scale_noise(force);
  EXPECT_NEAR(scaled.scale[1000], 0.05, 0.01);
}

TEST(NoiseScale, ClipsOutliersAtThreeScales) {
  std::vector<double> force = noise(500);
  force[250] = 1000.0;
  force[300] = -1000.0;
  const ScaledForce scaled = scale_noise(force);
  // The running median of noise of size 1 lies within 1 of 0.
  EXPECT_NEAR(scaled.values[250], 3.0 * scaled.scale[250], 1.0);
  EXPECT_NEAR(scaled.values[300], -3.0 * scaled.scale[300], 1.0);
  EXPECT_EQ(scaled.values[100], force[100]);
}

TEST(NoiseScale, SeesCorrelation) {
  EXPECT_GT(scale_noise(noise(2000, 0.9)).lag_one_correlation, 0.7);
  // The running median takes a little of it away.
  EXPECT_NEAR(scale_noise(noise(2000, 0.5)).lag_one_correlation, 0.5, 0.08);
}

TEST(NoiseScale, OfASeriesWithoutNoiseIsPositive) {
  const ScaledForce constant = scale_noise(std::vector<double>(300, 0.25));
  EXPECT_TRUE(std::ranges::all_of(constant.scale, [](double scale) { return scale > 0.0; }));
  EXPECT_EQ(constant.values, std::vector<double>(300, 0.25));
  EXPECT_EQ(constant.lag_one_correlation, 0.0);

  std::vector<double> step(300, 0.0);
  std::fill(step.begin() + 150, step.end(), 1.0);
  const ScaledForce scaled = scale_noise(step);
  EXPECT_TRUE(std::ranges::all_of(scaled.scale, [](double scale) { return scale > 0.0; }));
}

TEST(NoiseScale, ScalesWithTheForce) {
  std::vector<double> force = noise(300);
  const ScaledForce scaled = scale_noise(force);
  for (double& value : force) value *= 0x1p-40;
  const ScaledForce small = scale_noise(force);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(small.scale[i], 0x1p-40 * scaled.scale[i]);
    EXPECT_EQ(small.values[i], 0x1p-40 * scaled.values[i]);
  }
}

std::vector<double> step_with_noise(std::size_t n, double height, double correlation = 0.0) {
  RandomStream random(8, "force-fit");
  std::vector<double> force(n);
  double state = random.normal();
  for (std::size_t i = 0; i < n; ++i) {
    state = correlation * state + std::sqrt(1.0 - correlation * correlation) * random.normal();
    force[i] = state + (i >= n / 2 ? height : 0.0);
  }
  return force;
}

TEST(ForceFit, LevelsAreWeightedMeansWithTheirIntervals) {
  std::vector<double> force = step_with_noise(1000, 2.0);
  for (std::size_t i = 0; i < 300; ++i) force[i] *= 3.0;
  const ScaledForce scaled = scale_noise(force);
  const ForceFit fit = fit_force(scaled, 1);
  ASSERT_EQ(fit.segments.size(), 2u);
  for (const ForceSegment& segment : fit.segments) {
    double weights = 0.0;
    double moments = 0.0;
    for (std::size_t i = segment.begin; i < segment.end; ++i) {
      weights += 1.0 / (scaled.scale[i] * scaled.scale[i]);
      moments += scaled.values[i] / (scaled.scale[i] * scaled.scale[i]);
    }
    EXPECT_NEAR(segment.level, moments / weights, 1e-12);
    EXPECT_NEAR(segment.half_width, 1.96 * std::sqrt(fit.noise_factor / weights), 1e-12);
  }
  EXPECT_NEAR(static_cast<double>(fit.segments[1].begin), 500.0, 10.0);
}

TEST(ForceFit, PenaltyIsThatOfTheStepsAndLayers) {
  // White noise of seed 8 has v below 1.05, so that the first cut is the last.
  const ForceFit fit = fit_force(scale_noise(step_with_noise(1500, 0.0)), 32);
  ASSERT_EQ(fit.noise_factor, 1.0);
  EXPECT_DOUBLE_EQ(fit.rule.penalty, 3.0 * std::log(1500.0 * 32.0));
  EXPECT_EQ(fit.rule.min_length, 15u);
  EXPECT_EQ(fit_force(scale_noise(step_with_noise(200, 0.0)), 32).rule.min_length, 10u);
}

TEST(ForceFit, CorrelatedNoiseRaisesThePenalty) {
  const ForceFit fit = fit_force(scale_noise(step_with_noise(2000, 0.0, 0.5)), 1);
  // (1 + r)/(1 - r) is 3 at r = 0.5; differences of neighbors see half of the variance, so that the residuals'
  // mean square, clipped, is a little under 2.
  EXPECT_GT(fit.noise_factor, 4.0);
  EXPECT_LT(fit.noise_factor, 6.5);
  EXPECT_DOUBLE_EQ(fit.rule.penalty, 3.0 * std::log(2000.0) * fit.noise_factor);
  EXPECT_EQ(fit.segments.size(), 1u);
}

TEST(ForceFit, CutsAgainUntilTheNoiseFactorHolds) {
  for (const double correlation : {0.0, 0.3, 0.6}) {
    const ForceFit fit = fit_force(scale_noise(step_with_noise(400, 1.0, correlation)), 1);
    double squares = 0.0;
    for (const double residual : fit.residuals) squares += residual * residual / 400.0;
    const double r = std::max(0.0, lag_one_correlation(fit.residuals));
    EXPECT_LE(squares * (1.0 + r) / (1.0 - r), 1.05 * fit.noise_factor);
  }
}

TEST(ForceFit, ResidualsAreStandardised) {
  const ScaledForce scaled = scale_noise(step_with_noise(1000, 1.0));
  const ForceFit fit = fit_force(scaled, 1);
  for (const ForceSegment& segment : fit.segments) {
    for (std::size_t i = segment.begin; i < segment.end; ++i)
      ASSERT_NEAR(fit.residuals[i] * scaled.scale[i] + segment.level, scaled.values[i], 1e-12);
  }
}

}  // namespace

namespace {

ScaledForce step_force(double before, double after) {
  RandomStream random(9, "force-bootstrap");
  std::vector<double> force(1000);
  for (std::size_t i = 0; i < force.size(); ++i) force[i] = (i < 400 ? before : after) + random.normal();
  return scale_noise(force);
}

BootstrapIntervals intervals(const ScaledForce& force, std::uint64_t seed, std::size_t begins_before = 1000) {
  return bootstrap_intervals(force, fit_force(force, 1), {.seed = seed, .begins_before = begins_before});
}

TEST(ForceBootstrap, IsAFunctionOfTheSeed) {
  const ScaledForce force = step_force(-0.3, 0.5);
  const BootstrapIntervals first = intervals(force, 1);
  const BootstrapIntervals again = intervals(force, 1);
  const BootstrapIntervals other = intervals(force, 2);
  ASSERT_TRUE(first.tau && again.tau && other.tau);
  EXPECT_EQ(first.tau->low, again.tau->low);
  EXPECT_EQ(first.tau->high, again.tau->high);
  EXPECT_EQ(first.without_rise, again.without_rise);
  EXPECT_TRUE(first.tau->low != other.tau->low || first.tau->high != other.tau->high);
}

TEST(ForceBootstrap, NarrowsWithTheHeightOfTheStep) {
  const BootstrapIntervals weak = intervals(step_force(-0.2, 0.4), 1);
  const BootstrapIntervals strong = intervals(step_force(-1.0, 2.0), 1);
  ASSERT_TRUE(weak.tau && strong.tau && strong.sign_change);
  // The place of a step of 3 standard deviations is known to a step or two.
  EXPECT_GE(strong.tau->low, 397.0);
  EXPECT_LE(strong.tau->high, 403.0);
  EXPECT_GT(weak.tau->high - weak.tau->low, strong.tau->high - strong.tau->low);
  EXPECT_EQ(strong.without_rise, 0.0);
  EXPECT_EQ(strong.sign_change->low, strong.tau->low);
}

TEST(ForceBootstrap, LeavesTheIntervalOutWhereMostReplicatesHaveNoRise) {
  // Only segments that begin before the step: no replicate has a rise there.
  const BootstrapIntervals none = intervals(step_force(-1.0, 2.0), 1, 300);
  EXPECT_FALSE(none.tau.has_value());
  EXPECT_EQ(none.without_rise, 1.0);
  EXPECT_TRUE(none.sign_change.has_value());
}

TEST(ForceBootstrap, FindsNothingWithoutReplicates) {
  const ScaledForce force = step_force(-1.0, 2.0);
  const BootstrapIntervals none = bootstrap_intervals(force, fit_force(force, 1), {.replicates = 0});
  EXPECT_FALSE(none.tau.has_value());
  EXPECT_EQ(none.without_rise, 0.0);
}

TEST(ForceBootstrap, KeepsPiecesThatBeginBeforeTheOpening) {
  const std::vector<ForceSegment> segments = {{0, 10}, {10, 20}, {20, 30}};
  EXPECT_EQ(segments_before(segments, 30).size(), 3u);
  EXPECT_EQ(segments_before(segments, 20).size(), 2u);
  EXPECT_EQ(segments_before(segments, 21).size(), 3u);
  EXPECT_EQ(segments_before(segments, 0).size(), 0u);
}

}  // namespace

}  // namespace nkat::validation
