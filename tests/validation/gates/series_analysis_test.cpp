#include "validation/gates/series_analysis.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kShut = 0.0067;

// A gate that stays shut, and no force.
GateSeries shut_gate(std::size_t lines) {
  GateSeries series{0, {}, std::vector<double>(lines, kShut), std::vector<double>(lines, 0.0)};
  for (std::size_t t = 0; t < lines; ++t) series.steps.push_back(static_cast<std::int64_t>(t) + 1);
  return series;
}

// Force -0.5 up to `step`, 1 from there on, with noise of 0.3: nothing that noise could hide.
GateSeries risen(std::size_t lines, std::int64_t step) {
  GateSeries series = shut_gate(lines);
  RandomStream random(10, "series-analysis");
  for (std::size_t t = 0; t < lines; ++t)
    series.force[t] = (series.steps[t] >= step ? 1.0 : -0.5) + 0.3 * random.normal();
  return series;
}

void open_at(GateSeries& series, std::int64_t step) {
  for (std::size_t t = 0; t < series.gate.size(); ++t) series.gate[t] = series.steps[t] >= step ? 0.8 : kShut;
}

TEST(SeriesAnalysis, CallsARiseThatOpenedTheGateATransition) {
  GateSeries series = risen(600, 201);
  open_at(series, 300);
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.verdict, Verdict::kTransition);
  // 5 standard deviations high.
  EXPECT_EQ(finding.tau, 201);
  EXPECT_EQ(finding.sign_change, 201);
  EXPECT_EQ(finding.shape, RiseShape::kAbrupt);
  EXPECT_EQ(finding.opened_at, 300);
  ASSERT_TRUE(finding.tau_interval && finding.sign_change_interval);
  EXPECT_LE(finding.tau_interval->low, 201.0);
  EXPECT_GE(finding.tau_interval->high, 201.0);
  EXPECT_LE(finding.tau_interval->high - finding.tau_interval->low, 6.0);
  EXPECT_FALSE(finding.smallest_step_seen.has_value());
  ASSERT_EQ(finding.levels.size(), 2u);
  EXPECT_EQ(finding.levels[0].from, 1);
  EXPECT_EQ(finding.levels[0].to, 200);
  EXPECT_EQ(finding.levels[1].from, 201);
  EXPECT_EQ(finding.levels[1].to, 600);
  // Standard errors 0.3/sqrt(200) and 0.3/sqrt(400); clipping moves the mean by less.
  EXPECT_NEAR(finding.levels[0].force, -0.5, 0.1);
  EXPECT_NEAR(finding.levels[1].force, 1.0, 0.07);
}

TEST(SeriesAnalysis, CallsARiseWithAShutGateInProgress) {
  EXPECT_EQ(analyze_series(risen(600, 201), 1, {}).verdict, Verdict::kInProgress);
}

TEST(SeriesAnalysis, PassesOverARiseAfterTheOpening) {
  GateSeries series = risen(600, 401);
  for (double& force : series.force) force += 1.0;
  open_at(series, 300);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kDrift);
  open_at(series, 450);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kTransition);
}

TEST(SeriesAnalysis, ARiseThatBeginsAtTheOpeningCounts) {
  GateSeries series = risen(600, 401);
  open_at(series, *analyze_series(series, 1, {}).tau);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kTransition);
}

TEST(SeriesAnalysis, IntervalsPassOverARiseAfterTheOpening) {
  GateSeries series = risen(600, 201);
  open_at(series, 300);
  for (std::size_t t = 449; t < 600; ++t) series.force[t] += 5.0;
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.tau, 201);
  ASSERT_TRUE(finding.tau_interval.has_value());
  EXPECT_LE(finding.tau_interval->high, 204.0);
}

TEST(SeriesAnalysis, EachLayerDrawsItsOwnReplicates) {
  GateSeries series = risen(600, 201);
  RandomStream random(13, "series-analysis");
  for (double& force : series.force) force += 1.5 * random.normal();
  const GateFinding first = analyze_series(series, 1, {});
  series.layer = 1;
  const GateFinding second = analyze_series(series, 1, {});
  ASSERT_TRUE(first.tau_interval && second.tau_interval);
  EXPECT_TRUE(first.tau_interval->low != second.tau_interval->low ||
              first.tau_interval->high != second.tau_interval->high);
}

TEST(SeriesAnalysis, SaysWhichStepItCouldHaveSeen) {
  GateSeries series = shut_gate(2000);
  RandomStream random(11, "series-analysis");
  for (double& force : series.force) force = random.normal();
  const GateFinding finding = analyze_series(series, 32, {});
  EXPECT_EQ(finding.verdict, Verdict::kClosed);
  ASSERT_TRUE(finding.smallest_step_seen.has_value());
  // (sqrt(3 ln 64000) + 1.64) sqrt(4/2000); the scale of the noise is good to 3 %.
  EXPECT_NEAR(*finding.smallest_step_seen, 0.331, 0.015);
}

TEST(SeriesAnalysis, LeavesSkippedStepsOutAndKeepsTheNumbers) {
  const GateSeries whole = risen(600, 201);
  GateSeries gaps = whole;
  for (std::size_t t = 40; t < 60; ++t) {
    gaps.force.insert(gaps.force.begin() + static_cast<std::ptrdiff_t>(t), kNan);
    gaps.gate.push_back(kShut);
    gaps.steps.push_back(gaps.steps.back() + 1);
  }
  const GateFinding finding = analyze_series(gaps, 1, {});
  EXPECT_EQ(finding.usable_steps, 600);
  EXPECT_EQ(finding.tau, *analyze_series(whole, 1, {}).tau + 20);
  EXPECT_EQ(finding.levels.front().from, 1);
  EXPECT_EQ(finding.levels.back().to, 620);
}

TEST(SeriesAnalysis, IsUnresolvedBelowAHundredUsableSteps) {
  EXPECT_EQ(analyze_series(risen(99, 50), 1, {}).verdict, Verdict::kUnresolved);
  EXPECT_NE(analyze_series(risen(100, 50), 1, {}).verdict, Verdict::kUnresolved);
  GateSeries skipped = risen(150, 50);
  for (std::size_t t = 0; t < 51; ++t) skipped.force[t] = kNan;
  EXPECT_EQ(analyze_series(skipped, 1, {}).verdict, Verdict::kUnresolved);
}

TEST(SeriesAnalysis, IsUnresolvedUnderCorrelatedNoise) {
  GateSeries series = shut_gate(1000);
  for (std::size_t t = 0; t < 1000; ++t) series.force[t] = std::sin(0.2 * static_cast<double>(t));
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.verdict, Verdict::kUnresolved);
  EXPECT_GT(finding.lag_one_correlation, 0.7);
  EXPECT_FALSE(finding.levels.empty());
}

TEST(SeriesAnalysis, SurvivesSeriesWithNothingToSee) {
  for (const std::size_t lines : {0, 1, 2, 3, 10, 30, 120, 2500}) {
    for (const double force : {0.0, 0.3, -1e300, 1e-300, kNan, std::numeric_limits<double>::infinity()}) {
      GateSeries series = shut_gate(lines);
      std::fill(series.force.begin(), series.force.end(), force);
      const GateFinding finding = analyze_series(series, 3, {});
      const bool resolved = std::isfinite(force) && lines >= 100;
      EXPECT_EQ(finding.verdict, resolved ? Verdict::kClosed : Verdict::kUnresolved) << lines << " " << force;
      EXPECT_EQ(finding.levels.size(), std::isfinite(force) && lines >= 2 ? 1u : 0u) << lines << " " << force;
      for (const ForceLevel& level : finding.levels) EXPECT_EQ(level.force, force);
    }
  }
}

TEST(SeriesAnalysis, SeesAStepWithoutAnyNoise) {
  GateSeries series = shut_gate(400);
  std::fill(series.force.begin() + 200, series.force.end(), 1.0);
  EXPECT_EQ(analyze_series(series, 1, {}).tau, 201);
}

TEST(SeriesAnalysis, TakesTheMinimumRiseFromTheOptions) {
  GateSeries series = risen(600, 201);
  for (double& force : series.force) force += 10.0;  // 9.5 to 11: a rise of 0.14 of the level
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kClosed);
  EXPECT_EQ(analyze_series(series, 1, {.minimum_rise = 0.1}).verdict, Verdict::kInProgress);
}

}  // namespace
}  // namespace nkat::validation
