#include "data/run/validation_trend.h"

#include <cmath>

namespace nkat::data {

void ValidationTrend::add(const StepMetrics& line) {
  if (!line.validation_loss) return;
  const double loss = *line.validation_loss;
  if (std::isfinite(loss) && (!best || loss < best->loss)) {
    best = {.loss = loss, .step = line.step};
    without_gain = 0;
  } else {
    ++without_gain;
  }
}

ValidationTrend validation_trend(const std::vector<StepMetrics>& lines, std::int64_t since) {
  ValidationTrend trend;
  for (const StepMetrics& line : lines) {
    if (line.step > since) trend.add(line);
  }
  return trend;
}

}  // namespace nkat::data
