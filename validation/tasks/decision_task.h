// Four-class decisions: how often a model's label is the record's, with and without its adapter.
//
//   generated   the label that the greedy answer names (answer_parser.h); an unparsed answer is wrong
//   likelihood  the likeliest of the four labels (label_likelihood.h), the first of equals; never unparsed
//
// Both with confusion matrix and macro F1, for all questions and by language. Intervals: Wilson; paired test: McNemar,
// exact.
#pragma once

#include "validation/tasks/answering.h"
#include "validation/tasks/gain_report.h"

namespace nkat::validation {

// Questions that can't be asked: DataError with the question's place. Interrupted when a stop was asked for.
DecisionFinding measure_decisions(const Subject& subject, const QuestionSet<DecisionQuestion>& set,
                                  const AnsweringOptions& options);

}  // namespace nkat::validation
