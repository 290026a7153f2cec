// Questions from data files, one JSON object a line.
//
//   decision  records (data/datasets/record.h) with a label; the last assistant turn is the record's answer
//   math      GSM8K's form, {"question": "..", "answer": "..\n#### 42"}: one user turn, the question as it is.
//             (a suffix below it may ask for the form of the answer). Or records whose last assistant turn ends in a
//             marked number (answer_parser.h).
//   both      `language` and, for math, `kind` are taken from the keys of these names
//
// Lines of the other task (a math question has no label; a record with a label or another `task` is none) are skipped
// and counted in the log. Everything else that can't be asked is a bad record: up to bad_records of them are named
// in the log and left out, the next is a DataError "file:line: what, what was expected"; files without any question are
// a DataError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/questions/question.h"

namespace nkat::validation {

// Of all files together.
struct QuestionLimits {
  std::int64_t questions = 0;    // the first so many; 0: all
  std::int64_t bad_records = 0;  // at most so many are left out
  bool at_least_one = true;      // DataError for files without a question of the task; otherwise an empty set
};

QuestionSet<DecisionQuestion> read_decision_questions(const std::vector<std::string>& files,
                                                      const QuestionLimits& limits = {});
QuestionSet<MathQuestion> read_math_questions(const std::vector<std::string>& files, const QuestionLimits& limits = {},
                                              const std::string& suffix = "");

}  // namespace nkat::validation
