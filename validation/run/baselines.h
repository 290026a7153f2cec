// The runs that an analyzed one is compared with, read and analyzed.
#pragma once

#include <string>
#include <vector>

#include "validation/gates/gate_analysis.h"
#include "validation/gates/run_comparison.h"

namespace nkat::validation {

// In the order given; their damaged checkpoints are named in the log. ConfigError for the analyzed run itself, or for
// one given twice, by whatever path. A warning if two have the same series (a copy, or a repetition with one seed).
// Otherwise the errors of read_run() and analyze_gates().
std::vector<BaselineRun> read_compared_runs(const RunRecords& analyzed, const std::vector<std::string>& folders,
                                            const GateOptions& options);

}  // namespace nkat::validation
