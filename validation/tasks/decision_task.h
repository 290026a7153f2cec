// Four-class decisions: how often a model's label is the record's, with and without its adapter.
//
//   generated   the label that the greedy answer names (answer_parser.h); an unparsed answer is wrong
//   likelihood  the likeliest of the four labels (label_likelihood.h), the first of equals; never unparsed
//
// Both with confusion matrix and macro F1, for all questions and by language. Intervals: Wilson; paired test: McNemar,
// exact.
#pragma once

#include "validation/tasks/question_task_options.h"
#include "validation/tasks/task.h"

namespace nkat::validation {

// Reads or generates the questions and encodes them; DataError with a question's place if it can't be used.
Measurement prepare_decision_task(const QuestionTaskOptions& options, const EvalInputs& text);

}  // namespace nkat::validation
