// The gate analysis of one run: every layer, the sum over layers, and the order parameter.
// Promise: the same numbers for the same metrics and options, whatever the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "validation/gates/gate_verdict.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {

struct GateOptions {
  double minimum_rise = 0.25;     // smallest rise that counts, as a share of the largest |level|
  std::int64_t replicates = 200;  // bootstrap replicates; 0: no intervals
  std::uint64_t seed = 0;         // of the bootstrap
};

// DataError if the run has no metrics. Interrupted if a stop was requested.
GateResults analyze_gates(const RunRecords& run, const GateOptions& options);

// One layer, or the sum over layers, by line of the metrics. A step whose force isn't finite was skipped: it is left
// out of the fit and keeps its number.
struct GateSeries {
  std::int64_t layer = -1;
  std::vector<std::int64_t> steps = {};
  std::vector<double> gate = {};   // sigmoid(alpha), or its mean
  std::vector<double> force = {};  // -dL/dsigma, or its sum
};

// A verdict needs at least this many usable steps, and a lag-1 correlation of the noise of at most this; otherwise the
// series is unresolved.
inline constexpr std::int64_t kFewestSteps = 100;
inline constexpr double kUnresolvedCorrelation = 0.7;

// layers: number of layers with a gate.
// smallest_step_seen is (sqrt(3 ln(nL)) + 1.64) sqrt(4 V/n), V the mean of s_t^2 v: the variance of the noise as it
// acts on a mean, its correlation included.
GateFinding analyze_series(const GateSeries& series, std::size_t layers, const GateOptions& options);

}  // namespace nkat::validation
