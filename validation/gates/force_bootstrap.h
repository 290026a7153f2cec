// Intervals of tau and of the sign change by block bootstrap of the residuals (Kuensch 1989).
//
// A replicate is the fitted levels plus s_t times standardized residuals drawn in blocks of 20 consecutive steps,
// segmented again with the data's penalty; above 2,000 values on a grid with spacing n/1000 (rounded down). An interval
// is the smallest that holds the middle 95 % of the replicates' steps, from the order statistic below to the one above.
// Replicates without a rise (or sign change) are left out; if they are more than a fifth, the interval is absent.
#pragma once

#include <cstdint>
#include <optional>

#include "validation/gates/force_fit.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct BootstrapRule {
  std::int64_t replicates = 200;
  std::uint64_t seed = 0;
  std::uint64_t series = 0;  // each series has its own random stream
  double minimum_rise = 0.25;
  std::size_t begins_before = 0;  // only segments that begin before this value can hold the rise
};

// Positions are indices of values, not steps.
struct BootstrapIntervals {
  std::optional<Interval> tau = std::nullopt;
  std::optional<Interval> sign_change = std::nullopt;
  double without_rise = 0.0;  // share of the replicates
};

// Interrupted if a stop was requested.
BootstrapIntervals bootstrap_intervals(const ScaledForce& force, const ForceFit& fit, const BootstrapRule& rule);

}  // namespace nkat::validation
