// A run's metrics.jsonl: complete lines for the steps 1, 2, 3, ..., all with the same number of layers. A last line
// without newline is still being written and is ignored.
#pragma once

#include <vector>

#include "core/files/file.h"
#include "data/run/step_metrics.h"

namespace nkat::validation {

// FormatError with file and line for a line that is damaged, out of order, of another number of layers, or whose alpha
// is not finite; a force may be null in a skipped step only.
std::vector<data::StepMetrics> read_metrics_file(const fs::path& path);

}  // namespace nkat::validation
