#include "data/run/validation_trend.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/support/step_metrics.h"

namespace nkat::data {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Lines 1, 2, ... with these losses; 0: a step without validation.
std::vector<StepMetrics> lines(const std::vector<double>& losses) {
  std::vector<StepMetrics> lines;
  for (const double loss : losses) {
    lines.push_back(testing::metrics_of_step(std::ssize(lines) + 1));
    if (loss != 0) lines.back().validation_loss = loss;
  }
  return lines;
}

TEST(ValidationTrend, CountsTheValidationsSinceTheLowestLoss) {
  const ValidationTrend trend = validation_trend(lines({3.0, 0, 2.0, 0, 2.5, 0, 2.25}), 0);
  ASSERT_TRUE(trend.best);
  EXPECT_EQ(trend.best->loss, 2.0);
  EXPECT_EQ(trend.best->step, 3);
  EXPECT_EQ(trend.without_gain, 2);
}

TEST(ValidationTrend, ALowerLossStartsTheCountAnewAndAnEqualOneDoesNot) {
  EXPECT_EQ(validation_trend(lines({2.0, 2.5, 1.5}), 0).without_gain, 0);
  const ValidationTrend equal = validation_trend(lines({2.0, 2.0}), 0);
  EXPECT_EQ(equal.best->step, 1);
  EXPECT_EQ(equal.without_gain, 1);
}

TEST(ValidationTrend, ALossThatIsNotFiniteIsNoGain) {
  const ValidationTrend trend = validation_trend(lines({kNan, std::numeric_limits<double>::infinity()}), 0);
  EXPECT_FALSE(trend.best);
  EXPECT_EQ(trend.without_gain, 2);
  EXPECT_EQ(validation_trend(lines({kNan, 1.0}), 0).without_gain, 0);
}

TEST(ValidationTrend, LossesOnOtherValidationDataDoNotCount) {
  const ValidationTrend trend = validation_trend(lines({1.0, 5.0, 3.0, 4.0}), 2);
  EXPECT_EQ(trend.best->step, 3);
  EXPECT_EQ(trend.without_gain, 1);
}

TEST(ValidationTrend, PatienceEndsAfterSoManyValidationsAndZeroNeverDoes) {
  const ValidationTrend trend = validation_trend(lines({1.0, 2.0, 2.0}), 0);
  EXPECT_TRUE(trend.exhausts(1));
  EXPECT_TRUE(trend.exhausts(2));
  EXPECT_FALSE(trend.exhausts(3));
  EXPECT_FALSE(trend.exhausts(0));
  EXPECT_FALSE(validation_trend({}, 0).exhausts(1));
}

}  // namespace
}  // namespace nkat::data
