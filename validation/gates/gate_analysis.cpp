#include "validation/gates/gate_analysis.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "core/signals.h"
#include "layers/sigmoid.h"
#include "validation/gates/force_fit.h"

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

std::vector<ForceLevel> levels_in_steps(std::span<const ForceSegment> segments,
                                        const std::vector<std::int64_t>& steps) {
  std::vector<ForceLevel> levels;
  for (const ForceSegment& segment : segments) {
    levels.push_back({steps[segment.begin],
                      steps[segment.end - 1],
                      segment.level,
                      {segment.level - segment.half_width, segment.level + segment.half_width}});
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

// The sum over layers first, then the layers.
std::vector<GateSeries> gate_series(const RunRecords& run) {
  const auto layers = static_cast<std::size_t>(run.layers());
  const std::size_t lines = run.metrics.size();
  std::vector<GateSeries> all(layers + 1);
  for (std::size_t l = 0; l < all.size(); ++l) {
    all[l].layer = l == 0 ? -1 : run.first_layer + static_cast<std::int64_t>(l) - 1;
    all[l].gate.resize(lines, 0.0);
    all[l].force.resize(lines, 0.0);
    for (const data::StepMetrics& line : run.metrics) all[l].steps.push_back(line.step);
  }
  for (std::size_t t = 0; t < lines; ++t) {
    for (std::size_t l = 0; l < layers; ++l) {
      all[l + 1].gate[t] = layers::sigmoid(run.metrics[t].alpha.at(l));
      all[l + 1].force[t] = run.metrics[t].gate_force.at(l);
      all[0].gate[t] += all[l + 1].gate[t] / static_cast<double>(layers);
      all[0].force[t] += all[l + 1].force[t];
    }
  }
  return all;
}

std::optional<double> alpha_reach(const RunRecords& run) {
  if (run.settings.control == Control::kFrozenGates) return 0.0;
  if (run.series_only) return std::nullopt;
  double reach = 0.0;
  for (const data::StepMetrics& line : run.metrics)
    if (std::isfinite(line.alpha_learning_rate)) reach += line.alpha_learning_rate;
  return reach;
}

void describe_order_parameter(GateResults& results) {
  const std::vector<double>& m = results.order_parameter;
  for (std::size_t t = 0; t + 1 < m.size(); ++t) results.susceptibility.push_back(m[t + 1] - m[t]);
  for (std::size_t k = 0; k < kCrossingLevels.size(); ++k) {
    const auto passed = std::ranges::find_if(m, [&](double value) { return value >= kCrossingLevels[k]; });
    // A gate that starts above a level never passes it.
    if (passed != m.end() && passed != m.begin())
      results.crossings[k] = results.steps[static_cast<std::size_t>(passed - m.begin())];
  }
  double largest = 0.0;
  for (std::size_t t = 0; t < results.susceptibility.size(); ++t) {
    if (!(results.susceptibility[t] > largest)) continue;
    largest = results.susceptibility[t];
    results.max_susceptibility_step = results.steps[t];
  }
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
  finding.levels = levels_in_steps(fit.segments, steps);
  finding.noise_factor = fit.noise_factor;
  finding.lag_one_correlation = force.lag_one_correlation;
  if (std::ssize(steps) < kFewestSteps || force.lag_one_correlation > kUnresolvedCorrelation) {
    finding.verdict = Verdict::kUnresolved;
    return finding;
  }

  // A rise can have opened the gate only if its segment begins before this value.
  const std::size_t begins_before =
      finding.opened_at ? static_cast<std::size_t>(std::ranges::upper_bound(steps, *finding.opened_at) - steps.begin())
                        : steps.size();
  const auto rise = find_rise(segments_before(fit.segments, begins_before), options.minimum_rise);
  const auto sign_change = find_sign_change(fit.segments);
  finding.verdict = judge(finding.opened_at.has_value(), rise.has_value());
  if (sign_change) finding.sign_change = steps[fit.segments[*sign_change].begin];
  if (!rise) {
    finding.smallest_step_seen = smallest_step_seen(force, fit.noise_factor, static_cast<double>(layers));
    return finding;
  }
  finding.shape = rise->shape;
  finding.tau = steps[fit.segments[rise->segment].begin];
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

GateResults analyze_gates(const RunRecords& run, const GateOptions& options) {
  if (run.metrics.empty())
    throw DataError(fmt::format("{}: {}", run.folder.string(),
                                expected("at least one line of metrics", "none", "train the run for a step first")));
  const std::vector<GateSeries> all = gate_series(run);
  GateResults results;
  results.finished = run.finished();
  results.steps = all.front().steps;
  results.order_parameter = all.front().gate;
  results.alpha_reach = alpha_reach(run);
  describe_order_parameter(results);

  std::vector<GateFinding> findings(all.size());
  parallel_for(all.size(), [&](std::size_t l) {
    throw_if_stop_requested();
    findings[l] = analyze_series(all[l], all.size() - 1, options);
  });
  results.sum = std::move(findings.front());
  results.layers.assign(std::make_move_iterator(findings.begin() + 1), std::make_move_iterator(findings.end()));
  return results;
}

}  // namespace nkat::validation
