#include "validation/gates/force_fit.h"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.h"
#include "validation/statistics/autocorrelation.h"

namespace nkat::validation {
namespace {

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
  ASSERT_EQ(fit.pieces.size(), 2u);
  for (const ForcePiece& piece : fit.pieces) {
    double weights = 0.0;
    double moments = 0.0;
    for (std::size_t i = piece.begin; i < piece.end; ++i) {
      weights += 1.0 / (scaled.scale[i] * scaled.scale[i]);
      moments += scaled.values[i] / (scaled.scale[i] * scaled.scale[i]);
    }
    EXPECT_NEAR(piece.level, moments / weights, 1e-12);
    EXPECT_NEAR(piece.half_width, 1.96 * std::sqrt(fit.noise_factor / weights), 1e-12);
  }
  EXPECT_NEAR(static_cast<double>(fit.pieces[1].begin), 500.0, 10.0);
}

TEST(ForceFit, PenaltyIsThatOfTheStepsAndLayers) {
  // White noise of seed 8 has v below 1.05, so that the first cut is the last.
  const ForceFit fit = fit_force(scale_noise(step_with_noise(1500, 0.0)), 32);
  ASSERT_EQ(fit.noise_factor, 1.0);
  EXPECT_DOUBLE_EQ(fit.rule.penalty, 3.0 * std::log(1500.0 * 32.0));
  EXPECT_EQ(fit.rule.shortest_piece, 15u);
  EXPECT_EQ(fit_force(scale_noise(step_with_noise(200, 0.0)), 32).rule.shortest_piece, 10u);
}

TEST(ForceFit, CorrelatedNoiseRaisesThePenalty) {
  const ForceFit fit = fit_force(scale_noise(step_with_noise(2000, 0.0, 0.5)), 1);
  // (1 + r)/(1 - r) is 3 at r = 0.5; differences of neighbors see half of the variance, so that the residuals'
  // mean square, clipped, is a little under 2.
  EXPECT_GT(fit.noise_factor, 4.0);
  EXPECT_LT(fit.noise_factor, 6.5);
  EXPECT_DOUBLE_EQ(fit.rule.penalty, 3.0 * std::log(2000.0) * fit.noise_factor);
  EXPECT_EQ(fit.pieces.size(), 1u);
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
  for (const ForcePiece& piece : fit.pieces) {
    for (std::size_t i = piece.begin; i < piece.end; ++i)
      ASSERT_NEAR(fit.residuals[i] * scaled.scale[i] + piece.level, scaled.values[i], 1e-12);
  }
}

}  // namespace
}  // namespace nkat::validation
