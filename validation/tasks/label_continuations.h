// The continuations whose log-probability tells which of the four labels a model finds likeliest for a record.
//
// The record's own answer up to and including its label, with that label replaced by each of the four: "Decision:
// DENY\n Reason: .." gives "Decision: ALLOW", "Decision: ESCALATION" and so on. The reason after it would tell which
// label is right, and is left out. Reasoning before the label stays, the same for all four but for the
// namings of the record's label in it, which are replaced as well: the figure then says how the model concludes from
// that reasoning. Where the answer names no label, or another than its record has, the bare words are scored.
#pragma once

#include <array>
#include <string>

#include "validation/questions/question.h"

namespace nkat::validation {

// In the order of data::kFourClasses.
std::array<std::string, 4> label_continuations(const DecisionQuestion& question);

}  // namespace nkat::validation
