// The geometry of a run's rotations at every checkpoint: R = exp((W - W^T)/2) in float64 from the saved W, and the same
// for R rounded to BF16, a diagnostic that nothing applies.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "validation/geometry/rotation_metrics.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {

// One row for each checkpoint and layer, by step, then layer. FormatError with file, layer and block for a W that holds
// NaN or Inf, or is so large that ||R^T R - I||_F > 1e-6; with file and layer for an alpha that is NaN or Inf.
// Interrupted if a stop was requested.
std::vector<GeometryRow> measure_geometry(const RunRecords& run,
                                          const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace nkat::validation
