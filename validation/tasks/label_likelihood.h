// Which of the four labels a model finds likeliest for a question, without generating: the log-probability of each
// continuation of label_continuations.h given the prompt, summed over its tokens. Longer labels are not
// compensated: the sum is the log-probability of writing it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "models/evaluation.h"
#include "validation/questions/question.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

// Four sequences per question, in the order of data::kFourClasses: the prompt, then a continuation as an unfinished
// assistant turn. DataError with the question's place if the model can't take it.
std::vector<models::ScoredSequence> encode_labels(const EvalInputs& inputs,
                                                  const std::vector<DecisionQuestion>& questions);

using LabelScores = std::array<double, 4>;  // nats

// sequences: of encode_labels. blocks: the model's, or empty for the bare model. title: of the progress bar.
std::vector<LabelScores> score_labels(const EvalModel& model, const std::vector<at::Tensor>& blocks,
                                      const std::vector<models::ScoredSequence>& sequences, const std::string& title);

}  // namespace nkat::validation
