// The verdict of a validation in two sentences: what the gates did, and how the checklist came out.
#pragma once

#include <string>

#include "validation/report/findings.h"

namespace nkat::validation {

std::string verdict_sentences(const Findings& findings);

// "85 (95 % interval 80 to 91)", "85".
std::string step_text(std::int64_t step, const std::optional<Interval>& interval);

}  // namespace nkat::validation
