// How uncertain tau and the sign change are: block bootstrap of the residuals (Kuensch 1989).
//
// A replicate is the fitted levels plus s_t times standardized residuals drawn in blocks of 20 consecutive steps, cut
// again with the penalty of the data, above 2,000 values on a grid of n/1000 (rounded down). An interval is the
// smallest that holds the middle 95 % of the replicates' steps, from the order statistic below to the one above. A
// replicate without a rise (or sign change) is left out; if more than a fifth are, the interval is absent.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/random.h"
#include "validation/gates/force_fit.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct BootstrapRule {
  std::int64_t replicates = 200;
  std::uint64_t seed = 0;
  std::uint64_t series = 0;  // so that each series draws its own numbers
  double minimum_rise = 0.25;
  std::size_t begins_before = 0;  // the rise is one of the pieces that begin before this value
};

// Positions are indexes of values, not steps.
struct BootstrapIntervals {
  std::optional<Interval> tau = std::nullopt;
  std::optional<Interval> sign_change = std::nullopt;
  double without_rise = 0.0;  // share of the replicates
};

// The pieces that begin before the value.
std::span<const ForcePiece> beginning_before(std::span<const ForcePiece> pieces, std::size_t value);

// Interrupted when a stop was asked for.
BootstrapIntervals bootstrap_intervals(const ScaledForce& force, const ForceFit& fit, const BootstrapRule& rule);

}  // namespace nkat::validation
