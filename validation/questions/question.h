// What a task asks, from data files or generated: the turns up to where an answer is wanted, and what is right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/text/chat_template.h"
#include "validation/questions/decimal.h"

namespace nkat::validation {

struct Question {
  std::string where;              // "file:line", or "generated question 17": for messages
  std::vector<data::Turn> turns;  // without the answer
  std::string language = "";      // "en", "ja", or what a record names; "" if it names none
};

struct DecisionQuestion {
  Question question;
  std::string answer;     // the record's own; "" if it has none
  std::size_t label = 0;  // in data::kFourClasses
};

struct MathQuestion {
  Question question;
  Decimal result;
  std::string kind = "";  // "arithmetic", "geometry", or what a record names; "" if it names none
};

// The questions of a task, and where they come from.
template <class One>
struct QuestionSet {
  std::string source;  // the files' names, or "generated"
  std::vector<One> questions;
};

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

// Questions from the project's own generators, of the split that neither training nor validation draws from
// (data/synthetic/generated_record.h: the split follows from what is asked, whatever the seed), English and Japanese
// in turn. The same count gives the same questions on every machine. Throws ConfigError if the split holds too few.

QuestionSet<DecisionQuestion> generate_decision_questions(std::int64_t count);  // labels in equal shares
QuestionSet<MathQuestion> generate_math_questions(std::int64_t count);

}  // namespace nkat::validation
