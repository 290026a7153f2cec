#include "validation/stability/outliers.h"

#include <cmath>

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
std::vector<double> centerd_median(const std::vector<double>& values, std::size_t reach) {
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
  const std::vector<double> level = centerd_median(values, reach);
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

}  // namespace nkat::validation
