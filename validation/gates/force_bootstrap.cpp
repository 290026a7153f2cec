#include "validation/gates/force_bootstrap.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "core/signals.h"
#include "validation/gates/gate_verdict.h"

namespace nkat::validation {
namespace {

constexpr std::size_t kBlock = 20;
constexpr std::size_t kMostValuesWithoutGrid = 2000;
constexpr double kMostLeftOut = 0.2;

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
