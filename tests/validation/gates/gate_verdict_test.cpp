#include "validation/gates/gate_verdict.h"

#include <limits>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

TEST(GateResults, NamesEveryVerdictDifferently) {
  std::set<std::string> names;
  for (const Verdict verdict : kVerdicts) names.insert(verdict_name(verdict));
  EXPECT_EQ(names, (std::set<std::string>{"transition", "in progress", "drift", "closed", "unresolved"}));
}

TEST(GateResults, CountsLayersByVerdict) {
  GateResults report;
  report.layers = {{.verdict = Verdict::kDrift}, {.verdict = Verdict::kTransition}, {.verdict = Verdict::kDrift}};
  EXPECT_EQ(report.count(Verdict::kDrift), 2);
  EXPECT_EQ(report.count(Verdict::kClosed), 0);
}

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// Pieces of ten values with these levels.
std::vector<ForceSegment> segments(const std::vector<double>& levels, double half_width = 0.05) {
  std::vector<ForceSegment> segments;
  for (const double level : levels)
    segments.push_back({10 * segments.size(), 10 * segments.size() + 10, level, half_width});
  return segments;
}

TEST(GateCourse, OpensWhereTheGateIsATenthAboveItsFirstValue) {
  const GateCourse course = follow_gate(std::vector<double>{0.5, 0.4, 0.599, 0.6, 0.9, 0.7});
  EXPECT_EQ(course.opened, 3u);
  EXPECT_EQ(course.first, 0.5);
  EXPECT_EQ(course.max, 0.9);
  EXPECT_EQ(course.last, 0.7);
  EXPECT_FALSE(course.reclosed);
}

TEST(GateCourse, IsReclosedIfItEndsLessThanATenthAboveItsFirstValue) {
  EXPECT_TRUE(follow_gate(std::vector<double>{0.0, 0.2, 0.05}).reclosed);
  EXPECT_FALSE(follow_gate(std::vector<double>{0.0, 0.05, 0.05}).reclosed);
}

TEST(GateCourse, PassesOverWhatIsNotFinite) {
  const GateCourse course = follow_gate(std::vector<double>{kNoNumber, 0.1, kNoNumber, 0.3, kNoNumber});
  EXPECT_EQ(course.first, 0.1);
  EXPECT_EQ(course.opened, 3u);
  EXPECT_EQ(course.last, 0.3);
  EXPECT_FALSE(follow_gate(std::vector<double>{kNoNumber}).opened.has_value());
  EXPECT_FALSE(follow_gate({}).opened.has_value());
}

TEST(Rise, BeginsWithItsLargestSingleChange) {
  const auto rise = find_rise(segments({0.5, -0.2, 0.0, 0.7, 0.8}), 0.25);
  ASSERT_TRUE(rise.has_value());
  EXPECT_EQ(rise->segment, 3u);
  // 0.7 of 1.0.
  EXPECT_EQ(rise->shape, RiseShape::kAbrupt);
}

TEST(Rise, IsGradualIfNoChangeCarriesSeventyPercent) {
  EXPECT_EQ(find_rise(segments({0.0, 0.5, 1.0}), 0.25)->shape, RiseShape::kGradual);
  EXPECT_EQ(find_rise(segments({0.0, 0.25, 1.0}), 0.25)->shape, RiseShape::kAbrupt);
}

TEST(Rise, BeginsWithTheEarliestOfEqualChanges) { EXPECT_EQ(find_rise(segments({0.0, 0.5, 1.0}), 0.25)->segment, 1u); }

TEST(Rise, CountsFromAQuarterOfTheLargestLevelOn) {
  EXPECT_TRUE(find_rise(segments({0.75, 1.0}), 0.25).has_value());
  EXPECT_FALSE(find_rise(segments({0.76, 1.0}), 0.25).has_value());
  EXPECT_FALSE(find_rise(segments({-4.0, 0.1, 1.0, -4.0}), 1.3).has_value());
  EXPECT_TRUE(find_rise(segments({0.76, 1.0}), 0.2).has_value());
}

TEST(Rise, MustEndAboveZero) {
  EXPECT_FALSE(find_rise(segments({-1.0, -0.2}), 0.25).has_value());
  EXPECT_FALSE(find_rise(segments({-1.0, 0.04}), 0.25).has_value());
  EXPECT_TRUE(find_rise(segments({-1.0, 0.06}), 0.25).has_value());
}

TEST(Rise, IsAbsentFromFallingOrSingleLevels) {
  EXPECT_FALSE(find_rise(segments({1.0, 0.5, 0.1}), 0.25).has_value());
  EXPECT_FALSE(find_rise(segments({1.0}), 0.25).has_value());
  EXPECT_FALSE(find_rise({}, 0.25).has_value());
}

TEST(SignChange, IsTheFirstPieceAboveZeroAfterOneBelow) {
  EXPECT_EQ(find_sign_change(segments({-0.2, 0.01, 0.3, 0.5})), 2u);
  EXPECT_FALSE(find_sign_change(segments({0.2, -0.3, 0.5})).has_value());
  EXPECT_FALSE(find_sign_change(segments({-0.04, 0.3})).has_value());
  EXPECT_FALSE(find_sign_change(segments({-0.2, -0.1})).has_value());
}

TEST(GateVerdict, FollowsFromOpeningAndRise) {
  EXPECT_EQ(judge(true, true), Verdict::kTransition);
  EXPECT_EQ(judge(true, false), Verdict::kDrift);
  EXPECT_EQ(judge(false, true), Verdict::kInProgress);
  EXPECT_EQ(judge(false, false), Verdict::kClosed);
}

}  // namespace
}  // namespace nkat::validation
