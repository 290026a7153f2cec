#include "train/schedule.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::train {
namespace {

constexpr double kRounding = 1e-15;  // a handful of float64 operations on values of order one

TEST(Schedule, WarmsUpLinearlyFromTheFirstStep) {
  const Schedule schedule{ScheduleKind::kCosine, 4, 10, 0.1};
  for (const auto& [t, factor] : {std::pair{0, 0.25}, {1, 0.5}, {2, 0.75}, {3, 1.0}})
    EXPECT_NEAR(schedule.factor(t), factor, kRounding);
}

TEST(Schedule, CosineIsHalfWayInTheMiddleAndNearsTheRatioAtTheEnd) {
  const Schedule schedule{ScheduleKind::kCosine, 0, 8, 0.1};
  EXPECT_NEAR(schedule.factor(0), 1.0, kRounding);
  EXPECT_NEAR(schedule.factor(4), 0.55, kRounding);
  EXPECT_NEAR(schedule.factor(8), 0.1, kRounding);
}

TEST(Schedule, LinearFallsByEqualSteps) {
  const Schedule schedule{ScheduleKind::kLinear, 2, 12, 0.5};
  EXPECT_NEAR(schedule.factor(2), 1.0, kRounding);
  EXPECT_NEAR(schedule.factor(7), 0.75, kRounding);
}

TEST(Schedule, ConstantStaysAndItsTotalIsTheNumberOfSteps) {
  const Schedule schedule{ScheduleKind::kConstant, 0, 5000, 0.1};
  EXPECT_DOUBLE_EQ(schedule.total(), 5000.0);
}

TEST(Schedule, AWarmUpLongerThanTheRunStaysFinite) {
  const Schedule schedule{ScheduleKind::kCosine, 100, 10, 0.1};
  EXPECT_NEAR(schedule.total(), 55.0 / 100.0, kRounding);
}

TEST(Schedule, TotalIsTheSumOfItsFactors) {
  for (const ScheduleKind kind : {ScheduleKind::kCosine, ScheduleKind::kLinear, ScheduleKind::kConstant}) {
    for (const auto& [warmup, steps] :
         {std::pair<std::int64_t, std::int64_t>{0, 1}, {0, 7}, {3, 11}, {5, 5}, {100, 40}, {100, 5000}}) {
      const Schedule schedule{kind, warmup, steps, 0.1};
      double sum = 0;
      for (std::int64_t t = 0; t < steps; ++t) sum += schedule.factor(t);
      EXPECT_NEAR(schedule.total(), sum, 1e-11 * sum) << warmup << " of " << steps;
    }
  }
}

TEST(Schedule, KnowsNoOtherNames) { EXPECT_EQ(value_of("cosinus", kScheduleNames), std::nullopt); }

TEST(TrialityWeight, RisesFromZeroToItsMaximum) {
  EXPECT_EQ(triality_weight_at(0, 0.1, 500), 0.0);
  EXPECT_NEAR(triality_weight_at(250, 0.1, 500), 0.05, kRounding);
  EXPECT_EQ(triality_weight_at(9999, 0.1, 500), 0.1);
  EXPECT_EQ(triality_weight_at(0, 0.1, 0), 0.1);
}

}  // namespace
}  // namespace nkat::train
