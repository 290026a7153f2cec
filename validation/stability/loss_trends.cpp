#include "validation/stability/loss_trends.h"

#include <cmath>
#include <limits>

#include "validation/statistics/linear_trend.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

using data::StepMetrics;
constexpr std::size_t kFewestForTrend = 10;
constexpr std::size_t kFewestValidations = 3;

// Above it a loss is worse than at the start; nothing without a finite loss.
std::optional<double> start_level(const std::vector<StepMetrics>& metrics) {
  std::vector<double> losses, differences;
  for (const StepMetrics& line : metrics) {
    if (!std::isfinite(line.loss)) continue;
    if (!losses.empty()) differences.push_back(std::abs(line.loss - losses.back()));
    losses.push_back(line.loss);
  }
  if (losses.empty()) return std::nullopt;
  const double noise = differences.empty() ? 0.0 : 1.4826 / std::sqrt(2.0) * median(std::move(differences));
  losses.resize(std::min<std::size_t>(losses.size(), 5));
  return median(std::move(losses)) + 3 * noise;
}

struct Validation {
  std::int64_t step;
  double loss;
};

std::vector<Validation> finite_validations(const std::vector<StepMetrics>& metrics, std::int64_t since) {
  std::vector<Validation> found;
  for (const StepMetrics& line : metrics)
    if (line.step > since && line.validation_loss && std::isfinite(*line.validation_loss))
      found.push_back({line.step, *line.validation_loss});
  return found;
}

// The lines nearer to validation i than to its neighbors. Line s + 1 belongs to the state that the validation of step
// s saw.
std::span<const StepMetrics> lines_beside(const std::vector<StepMetrics>& metrics,
                                          const std::vector<Validation>& validations, std::size_t i) {
  const auto middle = [&](std::size_t left) { return (validations[left].step + validations[left + 1].step) / 2; };
  const auto last = static_cast<std::int64_t>(metrics.size());
  const std::int64_t step = validations[i].step;
  const std::int64_t reach = i > 0 ? step - middle(i - 1) : middle(i) - step;
  const std::int64_t begin = std::clamp<std::int64_t>(step - reach, 0, last - 1);
  const std::int64_t end = std::clamp<std::int64_t>(i + 1 < validations.size() ? middle(i) : last, begin + 1, last);
  return std::span(metrics).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

std::optional<Estimate> gap_trend(const std::vector<StepMetrics>& metrics, const std::vector<Validation>& validations) {
  std::vector<double> steps, gaps;
  for (std::size_t i = 0; i < validations.size(); ++i) {
    const double training = mean_loss(lines_beside(metrics, validations, i));
    if (!std::isfinite(training)) continue;
    steps.push_back(static_cast<double>(validations[i].step));
    gaps.push_back(validations[i].loss - training);
  }
  return linear_trend(steps, gaps);
}

}  // namespace

std::span<const StepMetrics> last_fifth(const std::vector<StepMetrics>& metrics) {
  return std::span(metrics).last(std::max<std::size_t>(std::min<std::size_t>(metrics.size(), 1), metrics.size() / 5));
}

double mean_loss(std::span<const StepMetrics> metrics) {
  double sum = 0;
  std::int64_t count = 0;
  for (const StepMetrics& line : metrics) {
    if (!std::isfinite(line.loss)) continue;
    sum += line.loss;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

std::optional<std::int64_t> find_divergence(const std::vector<StepMetrics>& metrics) {
  const std::optional<double> level = start_level(metrics);
  const auto trailing = [&](const auto& holds) {
    const auto found = std::find_if_not(metrics.rbegin(), metrics.rend(), holds);
    return static_cast<std::int64_t>(found - metrics.rbegin());
  };
  const std::int64_t above =
      trailing([&](const StepMetrics& line) { return !std::isfinite(line.loss) || (level && line.loss > *level); });
  const std::int64_t not_finite = trailing([](const StepMetrics& line) { return !std::isfinite(line.loss); });
  const auto total = static_cast<std::int64_t>(metrics.size());
  if (above < std::max<std::int64_t>(10, total / 50) && not_finite < data::kSkippedStepsToStop) return std::nullopt;
  return metrics[static_cast<std::size_t>(total - std::max(above, not_finite))].step;
}

std::optional<Convergence> measure_convergence(const std::vector<StepMetrics>& metrics, double converged_change) {
  const auto lines = last_fifth(metrics);
  std::vector<double> steps, losses;
  for (const StepMetrics& line : lines) {
    if (!std::isfinite(line.loss)) continue;
    steps.push_back(static_cast<double>(line.step));
    losses.push_back(line.loss);
  }
  if (losses.size() < kFewestForTrend) return std::nullopt;
  Convergence found;
  found.steps = static_cast<std::int64_t>(lines.size());
  found.slope = *linear_trend(steps, losses);
  const double change = std::abs(found.slope.value) * static_cast<double>(lines.size());
  found.relative_change = change == 0 ? 0 : change / std::abs(mean_loss(lines));  // losses of 0 have no scale
  const bool level = found.slope.interval->low <= 0 && found.slope.interval->high >= 0;
  found.converged = level || found.relative_change < converged_change;
  return found;
}

std::string why_no_convergence(const std::vector<StepMetrics>& metrics) {
  const auto lines = last_fifth(metrics);
  const auto finite = static_cast<std::size_t>(
      std::ranges::count_if(lines, [](const StepMetrics& line) { return std::isfinite(line.loss); }));
  if (finite >= kFewestForTrend) return "";
  if (lines.size() < kFewestForTrend)
    return fmt::format("too few steps: the last fifth has {}, {} are needed", lines.size(), kFewestForTrend);
  return fmt::format("{} of the last {} losses finite, {} are needed",
                     finite == 0 ? "none" : fmt::format("only {}", finite), lines.size(), kFewestForTrend);
}

std::optional<Overfitting> measure_overfitting(const std::vector<StepMetrics>& metrics, std::int64_t since,
                                               double allowed_rise) {
  const std::vector<Validation> validations = finite_validations(metrics, since);
  if (validations.size() < kFewestValidations) return std::nullopt;
  // The last one of equal ones, so that what follows lies above it.
  const auto lowest = std::ranges::min_element(validations.rbegin(), validations.rend(), {}, &Validation::loss);
  Overfitting found;
  found.validation_last = validations.back().loss;
  found.validation_lowest = lowest->loss;
  found.lowest_step = lowest->step;
  found.rise = lowest->loss > 0 ? found.validation_last / lowest->loss - 1 : 0.0;
  found.gap_trend = gap_trend(metrics, validations);
  if (lowest != validations.rbegin()) found.turn_step = std::prev(lowest)->step;
  found.overfitted = found.rise > allowed_rise;
  return found;
}

}  // namespace nkat::validation
