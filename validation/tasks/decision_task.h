// Four-class decisions: how often a model's label is the record's, with and without its adapter.
//
//   generated   the label that the greedy answer names (answer_parser.h); an unparsed answer is wrong
//   likelihood  the likeliest of the four labels (label_likelihood.h), the first of equals; never unparsed
//
// Both with confusion matrix and macro F1, for all questions and by language. Intervals: Wilson; paired test: McNemar,
// exact. Keys in the predictions file: label, answer, read, likeliest, log_probabilities.
#pragma once

#include <optional>

#include "validation/tasks/eval_model.h"
#include "validation/tasks/question_task_options.h"

namespace nkat::validation {

// Reads or generates the questions and encodes them; DataError with a question's place if it can't be used.
EvalTask prepare_decision_task(const QuestionTaskOptions& options, const EvalInputs& inputs);

// The same for options.files, or nothing if none of their records has a label.
std::optional<EvalTask> prepare_decision_task_if_labeled(const QuestionTaskOptions& options, const EvalInputs& inputs);

}  // namespace nkat::validation
