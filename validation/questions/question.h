// What a task asks: the turns up to where an answer is wanted, and what is right.
#pragma once

#include <cstddef>
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

}  // namespace nkat::validation
