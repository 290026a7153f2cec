// Trends of a run's training and validation losses: divergence, convergence, overfitting.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/run/step_metrics.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct Convergence {
  std::int64_t steps = 0;        // in the last fifth
  Estimate slope = {};           // nats per step
  double relative_change = 0.0;  // |slope| n/5 over the loss
  bool converged = false;
};

struct Overfitting {
  double validation_last = 0.0;
  double validation_lowest = 0.0;
  std::int64_t lowest_step = 0;
  double rise = 0.0;  // last / lowest - 1
  // Slope of (validation - training loss), nats per step; absent unless at least two have finite training losses.
  std::optional<Estimate> gap_trend = std::nullopt;
  std::optional<std::int64_t> turn_step = std::nullopt;  // first validation after the lowest
  bool overfitted = false;
};

// The lines [n - n/5, n), at least one.
std::span<const data::StepMetrics> last_fifth(const std::vector<data::StepMetrics>& metrics);
// Over the lines with a finite loss; NaN if there are none.
double mean_loss(std::span<const data::StepMetrics> metrics);

// The first step from which no loss returns to the start level: the median of the first five finite losses plus 3 noise
// deviations (1.4826/sqrt(2) times the median |first difference|). Divergence takes at least max(10, n/50) such steps,
// or at the end as many non-finite losses in a row as make the trainer give up (data::kSkippedStepsToStop).
std::optional<std::int64_t> find_divergence(const std::vector<data::StepMetrics>& metrics);

// The trend of the last fifth. Absent with fewer than ten finite losses in it.
std::optional<Convergence> measure_convergence(const std::vector<data::StepMetrics>& metrics, double converged_change);
// Why it is absent; "" if it isn't.
std::string why_no_convergence(const std::vector<data::StepMetrics>& metrics);

// The training loss of a validation is the mean over the steps nearer to it than to its neighbors.
// Absent with fewer than three finite validation losses after step `since`.
std::optional<Overfitting> measure_overfitting(const std::vector<data::StepMetrics>& metrics, std::int64_t since,
                                               double allowed_rise);

}  // namespace nkat::validation
