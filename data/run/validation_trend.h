// How the validation loss of a run goes: its lowest value, and how long ago that was.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/run/step_metrics.h"

namespace nkat::data {

struct BestValidation {
  double loss = 0.0;
  std::int64_t step = 0;
};

struct ValidationTrend {
  std::optional<BestValidation> best = std::nullopt;  // the first of equal losses
  std::int64_t without_gain = 0;                      // validations since then; a loss that isn't finite is one of them

  // A line without a validation loss changes nothing.
  void add(const StepMetrics& line);
  // Early stopping: so many validations in a row were no gain; patience 0 never ends.
  bool exhausts(std::int64_t patience) const { return patience > 0 && without_gain >= patience; }
};

// Of the lines after step `since`: earlier losses are of other validation data.
ValidationTrend validation_trend(const std::vector<StepMetrics>& lines, std::int64_t since);

}  // namespace nkat::data
