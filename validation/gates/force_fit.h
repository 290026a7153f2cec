// The force of one gate as pieces of constant level (mathematics.md 6).
//
// The clipped force is cut with penalty 3 v ln(nL) and pieces of at least max(10, n/100) values, v = 1 at first. The
// standardized residuals of a cut have v = var (1+r)/(1-r), var their mean square and r their lag-1 correlation held to
// [0, 0.95]; while it is more than 5 % above the v of the cut, the force is cut again with it. One repetition isn't
// enough: a first cut for white noise follows correlated noise into many pieces, whose residuals then hide the
// correlation (AR(1) 0.6, 300 steps: a rise was called in 10 % of the runs; with repetitions in 1 %).
// A level's 95 % interval is +-1.96 sqrt(v/sum of weights).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "validation/gates/force_partition.h"
#include "validation/gates/noise_scale.h"

namespace nkat::validation {

// Values from `begin` to before `end`.
struct ForcePiece {
  std::size_t begin = 0;
  std::size_t end = 0;
  double level = 0.0;
  double half_width = 0.0;  // of the level's 95 % interval

  bool above_zero() const { return level - half_width > 0.0; }
  bool below_zero() const { return level + half_width < 0.0; }
};

struct ForceFit {
  std::vector<ForcePiece> pieces = {};
  double noise_factor = 1.0;           // v of the final cut, at least 1
  PartitionRule rule = {};             // of the final cut
  std::vector<double> residuals = {};  // [n] standardized
};

// layers: how many layers have a gate.
ForceFit fit_force(const ScaledForce& force, std::size_t layers);

// The pieces of a series with a given rule and noise factor (at least 1).
std::vector<ForcePiece> cut(const WeightedSeries& series, const PartitionRule& rule, double noise_factor);

}  // namespace nkat::validation
