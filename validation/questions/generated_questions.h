// Questions from the project's own generators, of the split that neither training nor validation draws from
// (data/synthetic/generated_record.h: the split follows from what is asked, whatever the seed), English and Japanese
// in turn. The same count gives the same questions on every machine. Throws ConfigError if the split holds too few.
#pragma once

#include <cstdint>

#include "validation/questions/question.h"

namespace nkat::validation {

QuestionSet<DecisionQuestion> generate_decision_questions(std::int64_t count);  // labels in equal shares
QuestionSet<MathQuestion> generate_math_questions(std::int64_t count);

}  // namespace nkat::validation
