#include "validation/stability/stability.h"

#include <cmath>
#include <limits>

#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;
constexpr double kToDeviation = 1.4826;  // of a normal distribution's median |r|
constexpr std::size_t kFewestValues = 25;
constexpr double kSmallestShare = 1e-3;
constexpr double kSmallestLogarithm = 1e-2;

// The median of as many values before a position as after it: what rises or falls steadily is its own median, at the
// ends too.
std::vector<double> centered_median(const std::vector<double>& values, std::size_t reach) {
  std::vector<double> level = running_median(values, values.size(), {reach, reach});
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t possible = std::min(i, values.size() - 1 - i);
    if (possible >= reach) continue;
    const auto center = values.begin() + static_cast<std::ptrdiff_t>(i);
    const auto side = static_cast<std::ptrdiff_t>(possible);
    level[i] = median({center - side, center + side + 1});
  }
  return level;
}

// z of each value.
std::vector<double> robust_scores(const std::vector<double>& values, double smallest_scale) {
  const std::size_t reach = std::max<std::size_t>(25, values.size() / 40);
  const std::vector<double> level = centered_median(values, reach);
  std::vector<double> scores, sizes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    scores.push_back(values[i] - level[i]);
    sizes.push_back(std::abs(scores.back()));
  }
  const double overall = median(sizes);
  const std::vector<double> near = running_median(sizes, sizes.size(), {reach, reach});
  for (std::size_t i = 0; i < values.size(); ++i)
    scores[i] /= std::max(smallest_scale, kToDeviation * std::max(overall, near[i]));
  return scores;
}

struct Series {
  std::vector<const StepMetrics*> lines;
  std::vector<double> values;
};

template <class Value>
Series finite_series(const std::vector<StepMetrics>& metrics, const Value& value) {
  Series series;
  for (const StepMetrics& line : metrics) {
    if (!std::isfinite(value(line))) continue;
    series.lines.push_back(&line);
    series.values.push_back(value(line));
  }
  return series;
}

double seconds_of(const StepMetrics& line) { return std::isfinite(line.step_seconds) ? line.step_seconds : 0.0; }

double first_loss(const std::vector<StepMetrics>& metrics) {
  for (const StepMetrics& line : metrics)
    if (std::isfinite(line.loss)) return line.loss;
  return std::numeric_limits<double>::quiet_NaN();
}

// Steps [from, to], as far as there are lines for them; nothing to add if there are none.
void add_phase(std::vector<SpeedPhase>& phases, const char* name, std::int64_t from, std::int64_t to,
               const std::vector<StepMetrics>& metrics) {
  double tokens = 0, seconds = 0;
  to = std::min(to, static_cast<std::int64_t>(metrics.size()));
  for (std::int64_t step = from; step <= to; ++step) {
    const StepMetrics& line = metrics[static_cast<std::size_t>(step - 1)];
    tokens += static_cast<double>(line.tokens);
    seconds += seconds_of(line);
  }
  if (from <= to) phases.push_back({name, from, to, seconds > 0 ? tokens / seconds : 0.0});
}

// The first `warmup` steps have a rising rate; lambda reaches its full value at step annealing + 1.
std::vector<SpeedPhase> speed_phases(const RunRecords& run) {
  std::vector<SpeedPhase> phases;
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  if (!run.settings.warmup_steps || !run.settings.annealing_warmup) {
    add_phase(phases, "all steps", 1, kEnd, run.metrics);
    return phases;
  }
  const std::int64_t warmup = std::max<std::int64_t>(*run.settings.warmup_steps, 0);
  const std::int64_t annealed = std::max(warmup, *run.settings.annealing_warmup);
  add_phase(phases, "rate warm-up", 1, warmup, run.metrics);
  add_phase(phases, "lambda annealing", warmup + 1, annealed, run.metrics);
  add_phase(phases, "full lambda", annealed + 1, kEnd, run.metrics);
  return phases;
}

}  // namespace

std::vector<Outlier> find_outliers(const std::vector<StepMetrics>& metrics, double smallest_z) {
  std::vector<Outlier> spikes;
  const auto add = [&](const Series& series, double smallest_scale, const char* what, double StepMetrics::*value) {
    const std::vector<double> scores = robust_scores(series.values, smallest_scale);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] < smallest_z) continue;
      spikes.push_back({series.lines[i]->step, what, series.lines[i]->*value, scores[i]});
    }
  };
  const Series loss = finite_series(metrics, [](const StepMetrics& line) { return line.loss; });
  if (loss.values.size() >= kFewestValues)
    add(loss, kSmallestShare * std::abs(median(loss.values)), "loss", &StepMetrics::loss);
  const Series norm = finite_series(metrics, [](const StepMetrics& line) { return std::log(line.grad_norm); });
  if (norm.values.size() >= kFewestValues) add(norm, kSmallestLogarithm, "gradient norm", &StepMetrics::grad_norm);
  std::ranges::stable_sort(spikes, {}, &Outlier::step);
  return spikes;
}

std::optional<StabilityResults> analyze_stability(const RunRecords& run, const StabilityOptions& options) {
  if (run.series_only || run.metrics.empty()) return std::nullopt;
  StabilityResults report;
  report.spikes = find_outliers(run.metrics, options.spike_z);
  double seconds = 0;
  for (const StepMetrics& line : run.metrics) {
    if (line.skipped) report.skipped.emplace_back(line.step, *line.skipped);
    report.peak_memory_bytes = std::max(report.peak_memory_bytes, line.memory_bytes);
    seconds += seconds_of(line);
  }
  report.diverged_at = find_divergence(run.metrics);
  report.convergence = measure_convergence(run.metrics, options.converged_change);
  report.why_no_convergence = why_no_convergence(run.metrics);
  report.overfitting = measure_overfitting(run.metrics, run.settings.validation_since, options.overfitting_rise);
  report.loss_first = first_loss(run.metrics);
  report.loss_last = mean_loss(last_fifth(run.metrics));
  const auto steps = static_cast<std::int64_t>(run.metrics.size());
  const std::int64_t planned = std::max(steps, run.settings.max_steps.value_or(steps));
  report.hours = seconds / 3600;
  report.hours_planned = report.hours * static_cast<double>(planned) / static_cast<double>(steps);
  report.phases = speed_phases(run);
  return report;
}

}  // namespace nkat::validation
