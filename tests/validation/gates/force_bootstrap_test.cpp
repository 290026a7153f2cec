#include "validation/gates/force_bootstrap.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/random.h"
#include "validation/gates/gate_verdict.h"

namespace nkat::validation {
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
