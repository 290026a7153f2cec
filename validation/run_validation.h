// The parts of a validation in order: records, gates, other runs, geometry, stability, and with a model what the
// adapter gained and lost; at the end the checklist.
#pragma once

#include "validation/report/findings.h"
#include "validation/validate_config.h"

namespace nkat::validation {

// Errors: those of the parts. Nothing is written.
Findings validate_run(const ValidateConfig& config);

}  // namespace nkat::validation
