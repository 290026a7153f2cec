// metrics.jsonl of a run as validation reads it: whole lines of the steps 1, 2, 3, ..., each with as many layers as the
// first. A last line without newline is still being written and is ignored.
#pragma once

#include <vector>

#include "core/files/file.h"
#include "data/run/step_metrics.h"

namespace nkat::validation {

// FormatError naming file and line for a line that is damaged, out of order, of other lists, or holds a gate that is no
// number; a force may be null in a skipped step only.
std::vector<data::StepMetrics> read_metrics_file(const fs::path& path);

}  // namespace nkat::validation
