#include "validation/gates/series_analysis.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "validation/gates/force_bootstrap.h"
#include "validation/gates/gate_verdict.h"

namespace nkat::validation {
namespace {

struct UsableForce {
  std::vector<std::int64_t> steps;
  std::vector<double> force;
};

UsableForce usable(const GateSeries& series) {
  UsableForce usable;
  for (std::size_t line = 0; line < series.force.size(); ++line) {
    if (!std::isfinite(series.force[line])) continue;
    usable.steps.push_back(series.steps[line]);
    usable.force.push_back(series.force[line]);
  }
  return usable;
}

GateFinding describe_gate(const GateSeries& series, const GateCourse& course) {
  GateFinding finding;
  finding.layer = series.layer;
  finding.reclosed = course.reclosed;
  if (course.opened) finding.opened_at = series.steps[*course.opened];
  finding.gate_first = course.first;
  finding.gate_max = course.max;
  finding.gate_last = course.last;
  return finding;
}

std::vector<ForceLevel> levels(std::span<const ForcePiece> pieces, const std::vector<std::int64_t>& steps) {
  std::vector<ForceLevel> levels;
  for (const ForcePiece& piece : pieces) {
    levels.push_back({steps[piece.begin],
                      steps[piece.end - 1],
                      piece.level,
                      {piece.level - piece.half_width, piece.level + piece.half_width}});
  }
  return levels;
}

double smallest_step_seen(const ScaledForce& force, double noise_factor, double n_layers) {
  const auto n = static_cast<double>(force.scale.size());
  double variance = 0.0;
  for (const double scale : force.scale) variance += scale * scale / n;
  variance *= noise_factor;
  return (std::sqrt(3.0 * std::log(n * n_layers)) + 1.64) * std::sqrt(4.0 * variance / n);
}

std::optional<Interval> in_steps(const std::optional<Interval>& positions, const std::vector<std::int64_t>& steps) {
  if (!positions) return std::nullopt;
  const auto step = [&](double position) { return static_cast<double>(steps[static_cast<std::size_t>(position)]); };
  return Interval{step(positions->low), step(positions->high)};
}

}  // namespace

GateFinding analyze_series(const GateSeries& series, std::size_t layers, const GateOptions& options) {
  NKAT_INVARIANT(series.gate.size() == series.steps.size() && series.force.size() == series.steps.size());
  GateFinding finding = describe_gate(series, follow_gate(series.gate));
  const auto [steps, raw_force] = usable(series);
  finding.usable_steps = static_cast<std::int64_t>(steps.size());
  if (steps.size() < 2) {
    finding.verdict = Verdict::kUnresolved;
    return finding;
  }
  const ScaledForce force = scale_noise(raw_force);
  const ForceFit fit = fit_force(force, layers);
  finding.levels = nkat::validation::levels(fit.pieces, steps);
  finding.noise_factor = fit.noise_factor;
  finding.lag_one_correlation = force.lag_one_correlation;
  if (std::ssize(steps) < kFewestSteps || force.lag_one_correlation > kUnresolvedCorrelation) {
    finding.verdict = Verdict::kUnresolved;
    return finding;
  }

  // The first value that a piece may not begin with, if its rise is to have opened the gate.
  const std::size_t begins_before =
      finding.opened_at ? static_cast<std::size_t>(std::ranges::upper_bound(steps, *finding.opened_at) - steps.begin())
                        : steps.size();
  const auto rise = find_rise(beginning_before(fit.pieces, begins_before), options.minimum_rise);
  const auto sign_change = find_sign_change(fit.pieces);
  finding.verdict = judge(finding.opened_at.has_value(), rise.has_value());
  if (sign_change) finding.sign_change = steps[fit.pieces[*sign_change].begin];
  if (!rise) {
    finding.smallest_step_seen = smallest_step_seen(force, fit.noise_factor, static_cast<double>(layers));
    return finding;
  }
  finding.shape = rise->shape;
  finding.tau = steps[fit.pieces[rise->piece].begin];
  const BootstrapIntervals intervals = bootstrap_intervals(force, fit,
                                                           {.replicates = options.replicates,
                                                            .seed = options.seed,
                                                            .series = static_cast<std::uint64_t>(series.layer + 1),
                                                            .minimum_rise = options.minimum_rise,
                                                            .begins_before = begins_before});
  finding.tau_interval = in_steps(intervals.tau, steps);
  finding.replicates_without_rise = intervals.without_rise;
  if (sign_change) finding.sign_change_interval = in_steps(intervals.sign_change, steps);
  return finding;
}

}  // namespace nkat::validation
