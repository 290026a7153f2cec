#include "validation/stability/loss_trends.h"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

using Lines = std::vector<data::StepMetrics>;

Lines lines_with(std::int64_t steps, const std::function<double(std::int64_t)>& loss) {
  Lines lines;
  for (std::int64_t step = 1; step <= steps; ++step) lines.push_back({.step = step, .loss = loss(step)});
  return lines;
}

// 1, 2, 1, 2, ..., and `tail` for the last `count` of the steps. The first five have the median 1, and the median
// |difference| is 1: the start level is 1 + 3 1.4826/sqrt(2) = 4.1451.
Lines alternating(std::int64_t steps, std::int64_t count, double tail) {
  return lines_with(steps, [=](std::int64_t step) { return step > steps - count ? tail : step % 2 == 1 ? 1.0 : 2.0; });
}

// Falls by 1/8 a step: exact in binary, so that slope and mean are.
Lines falling(std::int64_t steps, double start) {
  return lines_with(steps, [=](std::int64_t step) { return start - static_cast<double>(step) / 8; });
}

TEST(LossTrends, TheLastFifthIsRoundedDownToOneLineAtLeast) {
  for (const auto& [lines, fifth] : {std::pair{0, 0U}, {1, 1U}, {4, 1U}, {9, 1U}, {10, 2U}, {14, 2U}, {15, 3U}})
    EXPECT_EQ(last_fifth(falling(lines, 8)).size(), fifth) << lines;
  const Lines lines = falling(15, 8);
  EXPECT_EQ(last_fifth(lines).front().step, 13);
}

TEST(LossTrends, AMeanLossLeavesOutWhatIsNotFinite) {
  const double losses[] = {1, NAN, 4, INFINITY};
  const Lines lines = lines_with(4, [&](std::int64_t step) { return losses[step - 1]; });
  EXPECT_EQ(mean_loss(lines), 2.5);
  EXPECT_TRUE(std::isnan(mean_loss(std::span(lines).subspan(1, 1))));
  EXPECT_TRUE(std::isnan(mean_loss({})));
}

TEST(LossTrends, ALossDivergesByTenStepsAboveItsStartLevel) {
  EXPECT_EQ(find_divergence(alternating(50, 10, 4.15)), 41);
  EXPECT_EQ(find_divergence(alternating(50, 10, 4.14)), std::nullopt);
  EXPECT_EQ(find_divergence(alternating(50, 9, 4.15)), std::nullopt);
  Lines lines = alternating(50, 10, 4.15);
  lines[43].loss = NAN;  // never a return
  EXPECT_EQ(find_divergence(lines), 41);
  EXPECT_EQ(find_divergence({}), std::nullopt);
}

TEST(LossTrends, ALongRunDivergesByAFiftiethOfItsSteps) {
  EXPECT_EQ(find_divergence(alternating(600, 11, 9)), std::nullopt);
  EXPECT_EQ(find_divergence(alternating(600, 12, 9)), 589);
}

TEST(LossTrends, ASteadyFallHasItsSlopeAndItsChangeOverTheLastFifth) {
  const Convergence found = measure_convergence(falling(50, 8), 0.54).value();
  EXPECT_EQ(found.steps, 10);
  EXPECT_EQ(found.slope.value, -0.125);
  EXPECT_DOUBLE_EQ(found.relative_change, 1.25 / 2.3125);  // 0.5405; the mean loss is that of step 45.5
  EXPECT_FALSE(found.converged);
  EXPECT_TRUE(measure_convergence(falling(50, 8), 0.55)->converged);
}

TEST(LossTrends, LossesOfZeroHaveConverged) {
  const Convergence found = measure_convergence(lines_with(50, [](std::int64_t) { return 0.0; }), 0.01).value();
  EXPECT_EQ(found.relative_change, 0);
  EXPECT_TRUE(found.converged);
}

TEST(LossTrends, ConvergenceTakesTenFiniteLossesAndCountsEveryStep) {
  Lines lines = falling(75, 16);
  for (std::size_t i = 60; i < 65; ++i) lines[i].loss = NAN;
  const Convergence found = measure_convergence(lines, 0.01).value();
  EXPECT_EQ(found.steps, 15);
  EXPECT_DOUBLE_EQ(found.relative_change, 1.875 / 7.1875);  // 15 steps; the mean loss is that of step 70.5
  EXPECT_EQ(why_no_convergence(lines), "");
  lines[65].loss = NAN;
  EXPECT_FALSE(measure_convergence(lines, 0.01).has_value());
  EXPECT_EQ(why_no_convergence(lines), "only 9 of the last 15 losses finite, 10 are needed");
}

TEST(LossTrends, ValidationTurnsBehindTheLastOfEqualLowestLosses) {
  Lines lines = falling(60, 8);
  const double validations[] = {3, 1, 1, NAN, 1.25, 1.5};
  for (std::size_t i = 0; i < 6; ++i) lines[10 * i + 9].validation_loss = validations[i];
  const Overfitting found = measure_overfitting(lines, 0, 0.5).value();
  EXPECT_EQ(found.validation_lowest, 1);
  EXPECT_EQ(found.lowest_step, 30);
  EXPECT_EQ(found.turn_step, 50);  // what is not finite is no validation
  EXPECT_EQ(found.rise, 0.5);
  EXPECT_FALSE(found.overfitted);
  EXPECT_TRUE(measure_overfitting(lines, 0, 0.49)->overfitted);
  EXPECT_TRUE(measure_overfitting(lines, 20, 0.49).has_value());   // three of them
  EXPECT_FALSE(measure_overfitting(lines, 30, 0.49).has_value());  // two
}

// The lines beside the validations of steps 4, 8 and 12 are those of steps 3 to 6, 7 to 10 and 11 to 12.
TEST(LossTrends, TheGapIsToTheMeanOfTheLinesBesideAValidation) {
  const double losses[] = {100, 100, 4, 2, 4, 2, 1, 3, 3, 1, 1, 1};
  Lines lines = lines_with(12, [&](std::int64_t step) { return losses[step - 1]; });
  for (const std::size_t step : {4U, 8U, 12U}) lines[step - 1].validation_loss = 3.5;
  const Estimate trend = measure_overfitting(lines, 0, 0)->gap_trend.value();
  EXPECT_DOUBLE_EQ(trend.value, 0.25);  // gaps of 0.5, 1.5 and 2.5
  EXPECT_TRUE(trend.interval.has_value());
  for (std::size_t i = 6; i < 10; ++i) lines[i].loss = NAN;
  const Estimate of_two = measure_overfitting(lines, 0, 0)->gap_trend.value();
  EXPECT_DOUBLE_EQ(of_two.value, 0.25);
  EXPECT_FALSE(of_two.interval.has_value());
}

}  // namespace
}  // namespace nkat::validation
