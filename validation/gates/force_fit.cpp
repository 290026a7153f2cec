#include "validation/gates/force_fit.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "core/signals.h"
#include "validation/gates/gate_verdict.h"
#include "validation/statistics/linear_trend.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

constexpr double kSigmaOfMedianDifference = 1.4826 / std::numbers::sqrt2;  // for normal noise
constexpr double kLeastScale = 0.05;                                       // of the whole series' scale
constexpr double kClip = 3.0;
constexpr double kNormal95 = 1.96;         // quantile
constexpr double kSmallestRise = 1.05;     // of v, for another fit
constexpr int kMostRounds = 10;            // of fit and noise factor in turn
constexpr double kMostCorrelation = 0.95;  // of the residuals; beyond, the factor has no bound
constexpr std::size_t kBlock = 20;         // steps that the bootstrap draws together
constexpr std::size_t kMostValuesWithoutGrid = 2000;
constexpr double kMostLeftOut = 0.2;  // of the replicates

double whole_scale(const std::vector<double>& differences) {
  const double middle = median(differences);
  if (middle > 0.0) return kSigmaOfMedianDifference * middle;
  const double mean =
      std::accumulate(differences.begin(), differences.end(), 0.0) / static_cast<double>(differences.size());
  return mean > 0.0 ? mean : 1.0;
}

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

std::vector<double> replicate(const ScaledForce& force, const ForceFit& fit, RandomStream& random) {
  const std::size_t n = force.values.size();
  const std::size_t block = std::min(kBlock, n);
  std::vector<double> values(n);
  std::size_t drawn = 0;
  for (const ForceSegment& segment : fit.segments)
    std::fill(values.begin() + static_cast<std::ptrdiff_t>(segment.begin),
              values.begin() + static_cast<std::ptrdiff_t>(segment.end), segment.level);
  while (drawn < n) {
    const std::size_t from = random.below(n - block + 1);
    const std::size_t length = std::min(block, n - drawn);
    for (std::size_t i = 0; i < length; ++i) values[drawn + i] += force.scale[drawn + i] * fit.residuals[from + i];
    drawn += length;
  }
  return values;
}

std::optional<Interval> middle_95(std::vector<double> positions, std::int64_t replicates) {
  const auto left_out = static_cast<double>(replicates) - static_cast<double>(positions.size());
  if (positions.empty() || left_out > kMostLeftOut * static_cast<double>(replicates)) return std::nullopt;
  std::ranges::sort(positions);
  const auto last = static_cast<double>(positions.size() - 1);
  return Interval{positions[static_cast<std::size_t>(std::floor(0.025 * last))],
                  positions[static_cast<std::size_t>(std::ceil(0.975 * last))]};
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

BootstrapIntervals bootstrap_intervals(const ScaledForce& force, const ForceFit& fit, const BootstrapRule& rule) {
  BootstrapIntervals found;
  if (rule.replicates <= 0) return found;
  SegmentationRule rule_of_replicate = fit.rule;
  if (fit.residuals.size() > kMostValuesWithoutGrid) rule_of_replicate.spacing = fit.residuals.size() / 1000;
  std::vector<double> tau;
  std::vector<double> sign_change;
  for (std::int64_t k = 0; k < rule.replicates; ++k) {
    throw_if_stop_requested();
    RandomStream random(rule.seed, "gate-bootstrap",
                        rule.series * static_cast<std::uint64_t>(rule.replicates) + static_cast<std::uint64_t>(k));
    const WeightedSeries series(replicate(force, fit, random), force.scale);
    const std::vector<ForceSegment> segments = fit_segments(series, rule_of_replicate, fit.noise_factor);
    if (const auto rise = find_rise(segments_before(segments, rule.begins_before), rule.minimum_rise))
      tau.push_back(static_cast<double>(segments[rise->segment].begin));
    if (const auto change = find_sign_change(segments))
      sign_change.push_back(static_cast<double>(segments[*change].begin));
  }
  found.without_rise = 1.0 - static_cast<double>(tau.size()) / static_cast<double>(rule.replicates);
  found.tau = middle_95(std::move(tau), rule.replicates);
  found.sign_change = middle_95(std::move(sign_change), rule.replicates);
  return found;
}

}  // namespace nkat::validation
