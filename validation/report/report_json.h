// The findings as JSON: the keys that product.md's Files section names, and beside them stability, gain and comparison.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "validation/report/findings.h"

namespace nkat::validation {

nlohmann::ordered_json to_json(const Findings& findings);

}  // namespace nkat::validation
