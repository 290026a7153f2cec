// The force on one gate as segments of constant level, with a penalty that fits the force's own noise, and bootstrap
// intervals of where they change.
//
// Robust scale: s_t is 1.4826/sqrt(2) times the running median of |first differences| over +-max(25, n/40) steps, at
// least 5 % of that of the whole series. Values are clipped at +-3 s_t about the running median of the same range.
// Where more than half of all differences are 0, their mean replaces the median; a constant series has scale 1.
//
// Penalty: 3 v ln(n L) for n values and L gates, with segments of at least max(10, n/100) values and v = 1 at first.
// The standardized residuals of a fit have v = var (1+r)/(1-r), var their mean square and r their lag-1 correlation,
// clamped to [0, 0.95]; while that exceeds the v of the fit by more than 5 %, the fit is repeated with it. One
// repetition isn't enough: a fit for white noise follows correlated noise into many segments, whose residuals then hide
// the correlation (AR(1) 0.6, 300 steps: a rise was called in 10 % of the runs; with repetitions in 1 %).
// A level's 95 % interval is +-1.96 sqrt(v / sum of weights).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "validation/gates/change_points.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct ScaledForce {
  std::vector<double> values;        // [n] clipped
  std::vector<double> scale;         // [n] s_t > 0
  double lag_one_correlation = 0.0;  // of (values - running median) / s_t
};

// force: at least two finite values.
ScaledForce scale_noise(std::span<const double> force);

// Values [begin, end).
struct ForceSegment {
  std::size_t begin = 0;
  std::size_t end = 0;
  double level = 0.0;
  double half_width = 0.0;  // of the level's 95 % interval

  bool above_zero() const { return level - half_width > 0.0; }
  bool below_zero() const { return level + half_width < 0.0; }
};

struct ForceFit {
  std::vector<ForceSegment> segments = {};
  double noise_factor = 1.0;           // v of the final fit, at least 1
  SegmentationRule rule = {};          // of the final fit
  std::vector<double> residuals = {};  // [n] standardized
};

// layers: number of layers with a gate.
ForceFit fit_force(const ScaledForce& force, std::size_t layers);

// The segments for a given rule and noise factor (at least 1).
std::vector<ForceSegment> fit_segments(const WeightedSeries& series, const SegmentationRule& rule, double noise_factor);

// Intervals of tau and of the sign change by block bootstrap of the residuals (Kuensch 1989).
//
// A replicate is the fitted levels plus s_t times standardized residuals drawn in blocks of 20 consecutive steps,
// segmented again with the data's penalty; above 2,000 values on a grid with spacing n/1000 (rounded down). An interval
// is the smallest that holds the middle 95 % of the replicates' steps, from the order statistic below to the one above.
// Replicates without a rise (or sign change) are left out; if they are more than a fifth, the interval is absent.

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
