#include "validation/stability/stability.h"

#include <cmath>
#include <limits>

#include "validation/stability/loss_trends.h"
#include "validation/stability/outliers.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;

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

std::optional<StabilityReport> analyze_stability(const RunRecords& run, const StabilityOptions& options) {
  if (run.series_only || run.metrics.empty()) return std::nullopt;
  StabilityReport report;
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
