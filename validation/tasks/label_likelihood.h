// Which of the four labels a model holds likeliest for a question, without generating.
//
// The record's own answer up to and including its label, with that label replaced by each of the four, is scored given
// the prompt: Σ log p over the tokens of that text. "Decision: DENY\nReason: .." becomes "Decision: ALLOW", "Decision:
// ESCALATION" and so on; the reason behind it would tell which label is right, and is left out. A reasoning that stands
// before the label stays, the same for all four but for the label words in it, which are replaced as well: the figure
// then says how the model concludes from that reasoning. Where the answer names no label that its record agrees with,
// the bare words are scored. A label of more tokens isn't compensated: the sum is the probability of writing it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "models/sequence_score.h"
#include "validation/tasks/question.h"
#include "validation/tasks/subject.h"

namespace nkat::validation {

// The texts that are scored, in the order of data::kFourClasses.
std::array<std::string, 4> label_continuations(const DecisionQuestion& question);

using LabelScores = std::array<double, 4>;  // nats, in the order of data::kFourClasses

// blocks: the subject's, or empty for the bare model. DataError with the question's place if it can't be asked.
std::vector<LabelScores> score_labels(const Subject& subject, const std::vector<at::Tensor>& blocks,
                                      const std::vector<DecisionQuestion>& questions, const std::string& title);

}  // namespace nkat::validation
