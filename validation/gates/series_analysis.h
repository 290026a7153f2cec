// The gate analysis of one series: a layer, or the sum over layers (mathematics.md 6).
#pragma once

#include <cstdint>
#include <vector>

#include "validation/gates/gate_analysis.h"
#include "validation/gates/gate_report.h"

namespace nkat::validation {

// By line of the metrics. A step whose force isn't finite was skipped: it takes no part in the fit, and keeps its
// number.
struct GateSeries {
  std::int64_t layer = -1;
  std::vector<std::int64_t> steps = {};
  std::vector<double> gate = {};   // sigmoid(alpha), or its mean
  std::vector<double> force = {};  // -dL/dgate, or its sum
};

// A verdict takes so many usable steps, and noise that is less correlated than this from one to the next; else the
// series is unresolved.
inline constexpr std::int64_t kFewestSteps = 100;
inline constexpr double kUnresolvedCorrelation = 0.7;

// layers: how many layers of the run have a gate. No bootstrap and no intervals with replicates 0.
// The smallest step seen, (sqrt(3 ln(nL)) + 1.64) sqrt(4 V/n), takes for V the mean of s_t^2 v: the variance of
// the noise as it acts on a mean, its correlation included.
GateFinding analyze_series(const GateSeries& series, std::size_t layers, const GateOptions& options);

}  // namespace nkat::validation
