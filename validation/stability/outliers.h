// Single steps at which a series jumps up. What it is compared with follows the series, so that neither a loss that
// falls nor noise that changes counts as a spike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/run/run_reader.h"
#include "validation/stability/stability.h"

namespace nkat::validation {

// Of the training loss, and of the logarithm of the gradient norm, because a norm's noise is relative to it. With r the
// distance from the running median over +-max(25, n/40) steps, fewer to both sides at the ends: r over 1.4826 times the
// larger of the medians of |r| over the same window and over all steps; a scale below 0.1 % of the median loss (0.01 of
// a logarithm) counts as that. By step; steps without a finite value are left out. A series of fewer than 25 values has
// none: its own deviation is too uncertain.
std::vector<Outlier> find_outliers(const std::vector<data::StepMetrics>& metrics, double smallest_z);

}  // namespace nkat::validation
