// How the training and validation losses of a run went: divergence, convergence, overfitting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "validation/run/run_reader.h"
#include "validation/stability/stability.h"

namespace nkat::validation {

// The lines [n - n/5, n), at least one.
std::span<const data::StepMetrics> last_fifth(const std::vector<data::StepMetrics>& metrics);
// Over the lines whose loss is finite; NaN without any.
double mean_loss(std::span<const data::StepMetrics> metrics);

// The first step from which, to the last line, no loss is back at the start: at most the median of the first five
// finite losses plus 3 noise deviations (1.4826/sqrt(2) times the median |first difference|). Fewer than
// max(10, n/50) such steps are no divergence, but three or more losses in a row up to the end that are not finite are.
std::optional<std::int64_t> find_divergence(const std::vector<data::StepMetrics>& metrics);

// The trend of the last fifth. Absent with fewer than ten finite losses in it.
std::optional<Convergence> measure_convergence(const std::vector<data::StepMetrics>& metrics, double converged_change);
// Why it is absent; "" if it isn't.
std::string why_no_convergence(const std::vector<data::StepMetrics>& metrics);

// The training loss beside a validation is the mean over the steps nearer to it than to the one before or after.
// Absent with fewer than three finite validation losses after step `since`.
std::optional<Overfitting> measure_overfitting(const std::vector<data::StepMetrics>& metrics, std::int64_t since,
                                               double allowed_rise);

}  // namespace nkat::validation
