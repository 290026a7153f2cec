// The findings as JSON: verdict, run, sum, layers, geometry, checks; and, if measured, stability, gain (the evaluation
// of the adapter) and comparison.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "validation/report/findings.h"

namespace nkat::validation {

nlohmann::ordered_json to_json(const Findings& findings);

}  // namespace nkat::validation
