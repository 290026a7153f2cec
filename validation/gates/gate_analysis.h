// The gate analysis of one run: every layer, the sum over layers, and the order parameter (mathematics.md 6).
// Promise: the same numbers for the same metrics and options, whatever the number of threads.
#pragma once

#include "validation/gates/gate_report.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {

struct GateOptions {
  double minimum_rise = 0.25;     // of the largest |level|, for a rise to count
  std::int64_t replicates = 200;  // of the bootstrap
  std::uint64_t seed = 0;         // of the bootstrap
};

// CheckError never; DataError if the run has no lines at all. Interrupted when a stop was asked for.
GateReport analyze_gates(const RunRecords& run, const GateOptions& options);

}  // namespace nkat::validation
