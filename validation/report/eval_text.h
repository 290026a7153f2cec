// Evaluation results for people: the lines that `nkat eval` prints, and the section of a report. Both show the same
// figures, with 95 % intervals in brackets.
#pragma once

#include <string>

#include "validation/report/document.h"
#include "validation/tasks/eval_results.h"

namespace nkat::validation {

// Lines that end in "\n"; "" if nothing was measured.
std::string to_text(const EvalResults& results);

// A section; just a sentence if nothing was measured.
void add_eval_results(Document& document, const EvalResults& results);

}  // namespace nkat::validation
