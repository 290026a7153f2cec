// Questions from data files, one JSON object a line.
//
//   decision  records (data/record.h) with a label; the last assistant turn is the record's answer
//   math      GSM8K's form, {"question": "..", "answer": "..\n#### 42"}: one user turn, the question as it is.
//             (a suffix below it may ask for the form of the answer). Or records whose last assistant turn ends in a
//             marked number (answer_parser.h).
//   both      `language` and, for math, `kind` are taken from the keys of these names
//
// Lines of the other task (a math question has no label, a record with another `task` or a label is none) are passed
// over and counted in the log. Everything else that can't be asked is a DataError, or FormatError where the line breaks
// its format, "file:line: what, what was expected"; a file without any question is a DataError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/tasks/question.h"

namespace nkat::validation {

// The first `limit` questions of all files together; 0: all.
QuestionSet<DecisionQuestion> read_decision_questions(const std::vector<std::string>& files, std::int64_t limit);
QuestionSet<MathQuestion> read_math_questions(const std::vector<std::string>& files, std::int64_t limit,
                                              const std::string& suffix = "");

}  // namespace nkat::validation
