#include "validation/report/plot_series.h"

#include <algorithm>
#include <cmath>

namespace nkat::validation {

std::size_t lines_a_point(std::size_t lines, std::size_t most) {
  return std::max<std::size_t>(1, (lines + most - 1) / most);
}

PlotPoints thinned_series(const std::vector<data::StepMetrics>& metrics,
                          const std::function<double(const data::StepMetrics&)>& value, std::size_t most) {
  const std::size_t width = lines_a_point(metrics.size(), most);
  PlotPoints points;
  for (std::size_t begin = 0; begin < metrics.size(); begin += width) {
    const std::size_t end = std::min(begin + width, metrics.size());
    double sum = 0.0, steps = 0.0;
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const double y = value(metrics[i]);
      if (!std::isfinite(y)) continue;
      sum += y;
      steps += static_cast<double>(metrics[i].step);
      ++count;
    }
    if (count > 0) points.emplace_back(steps / static_cast<double>(count), sum / static_cast<double>(count));
  }
  return points;
}

}  // namespace nkat::validation
