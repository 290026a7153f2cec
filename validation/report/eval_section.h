// The part of a report that says what an adapter gained and lost.
#pragma once

#include "validation/report/document.h"
#include "validation/report/eval_results.h"

namespace nkat::validation {

// Adds nothing but a sentence where nothing was measured.
void add_gain(Document& document, const EvalResults& gain);

}  // namespace nkat::validation
