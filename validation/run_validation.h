// A whole validation: run records, gates, other runs, geometry, stability, with a model the evaluation of the adapter,
// and the checklist.
#pragma once

#include "validation/report/findings.h"
#include "validation/validate_config.h"

namespace nkat::validation {

// Throws what the parts throw. Nothing is written.
Findings validate_run(const ValidateConfig& config);

}  // namespace nkat::validation
