// Which of the four labels a model holds likeliest for a question, without generating: the log-probability of each
// continuation of label_continuations.h given the prompt, summed over its tokens. A label of more tokens isn't
// compensated: the sum is the probability of writing it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "models/generation/sequence_log_probability.h"
#include "validation/questions/question.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

// Four sequences a question, in the order of data::kFourClasses: the prompt, then a continuation as an assistant's turn
// that has not ended. DataError with the question's place if the model can't take it.
std::vector<models::ScoredSequence> encode_labels(const EvalInputs& inputs,
                                                  const std::vector<DecisionQuestion>& questions);

using LabelScores = std::array<double, 4>;  // nats

// sequences: of encode_labels. blocks: the model's, or empty for the bare model. title: before the progress bar.
std::vector<LabelScores> score_labels(const EvalModel& model, const std::vector<at::Tensor>& blocks,
                                      const std::vector<models::ScoredSequence>& sequences, const std::string& title);

}  // namespace nkat::validation
