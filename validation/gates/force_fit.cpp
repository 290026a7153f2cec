#include "validation/gates/force_fit.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/error.h"
#include "validation/statistics/linear_trend.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

constexpr double kSigmaOfMedianDifference = 1.4826 / std::numbers::sqrt2;  // for normal noise
constexpr double kLeastScale = 0.05;                                       // of the whole series' scale
constexpr double kClip = 3.0;

double whole_scale(const std::vector<double>& differences) {
  const double middle = median(differences);
  if (middle > 0.0) return kSigmaOfMedianDifference * middle;
  const double mean =
      std::accumulate(differences.begin(), differences.end(), 0.0) / static_cast<double>(differences.size());
  return mean > 0.0 ? mean : 1.0;
}

constexpr double kNormal95 = 1.96;
constexpr double kSmallestRise = 1.05;  // of v, for another fit
constexpr int kMostRounds = 10;
constexpr double kMostCorrelation = 0.95;

std::vector<double> standardized_residuals(const ScaledForce& force, std::span<const ForceSegment> segments) {
  std::vector<double> residuals(force.values.size());
  for (const ForceSegment& segment : segments) {
    for (std::size_t i = segment.begin; i < segment.end; ++i)
      residuals[i] = (force.values[i] - segment.level) / force.scale[i];
  }
  return residuals;
}

double noise_factor(std::span<const double> residuals) {
  double squares = 0.0;
  for (const double residual : residuals) squares += residual * residual;
  const double correlation = std::clamp(lag_one_correlation(residuals), 0.0, kMostCorrelation);
  return squares / static_cast<double>(residuals.size()) * (1.0 + correlation) / (1.0 - correlation);
}

void refit(ForceFit& fit, const ScaledForce& force, const WeightedSeries& series) {
  fit.segments = fit_segments(series, fit.rule, fit.noise_factor);
  fit.residuals = standardized_residuals(force, fit.segments);
}

}  // namespace

ScaledForce scale_noise(std::span<const double> force) {
  const std::size_t n = force.size();
  NKAT_INVARIANT(n >= 2);
  std::vector<double> differences(n - 1);
  for (std::size_t i = 0; i + 1 < n; ++i) differences[i] = std::abs(force[i + 1] - force[i]);

  const std::size_t reach = std::max<std::size_t>(25, n / 40);
  const std::vector<double> center = running_median(force, n, {reach, reach});
  const double least = kLeastScale * whole_scale(differences);
  ScaledForce scaled;
  scaled.scale = running_median(differences, n, {reach, reach - 1});
  scaled.values.resize(n);
  std::vector<double> residuals(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = std::max(least, kSigmaOfMedianDifference * scaled.scale[i]);
    const double residual = std::clamp(force[i] - center[i], -kClip * scale, kClip * scale);
    scaled.scale[i] = scale;
    scaled.values[i] = center[i] + residual;
    residuals[i] = residual / scale;
  }
  scaled.lag_one_correlation = lag_one_correlation(residuals);
  return scaled;
}

std::vector<ForceSegment> fit_segments(const WeightedSeries& series, const SegmentationRule& rule,
                                       double noise_factor) {
  const std::vector<std::size_t> starts = segment_starts(series, rule);
  std::vector<ForceSegment> segments(starts.size());
  for (std::size_t k = 0; k < starts.size(); ++k) {
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : series.size();
    const double weight = series.weight(starts[k], end);
    segments[k] = {starts[k], end, series.mean(starts[k], end), kNormal95 * std::sqrt(noise_factor / weight)};
  }
  return segments;
}

ForceFit fit_force(const ScaledForce& force, std::size_t layers) {
  const std::size_t n = force.values.size();
  const WeightedSeries series(force.values, force.scale);
  const double penalty = 3.0 * std::log(static_cast<double>(n * layers));
  ForceFit fit;
  fit.rule = {.penalty = penalty, .min_length = std::max<std::size_t>(10, n / 100)};
  refit(fit, force, series);
  double rising = noise_factor(fit.residuals);
  for (int round = 0; round < kMostRounds && rising > kSmallestRise * fit.noise_factor; ++round) {
    fit.noise_factor = rising;
    fit.rule.penalty = penalty * rising;
    refit(fit, force, series);
    rising = noise_factor(fit.residuals);
  }
  return fit;
}

}  // namespace nkat::validation
