// Exact match on arithmetic and plane geometry: how many questions a model answers with the right number, with and
// without its adapter.
//
// The number stands behind the last "####" or "# 最終回答" of the answer (answer_parser.h) and is compared as a
// decimal, exactly. An answer without such a mark, or with anything but one number behind it, is unparsed, and unparsed
// is wrong: taking the last number of any text would reward chance. But a base that was never shown this form fails by
// form alone, so the finding also says how many unparsed answers end in the right number, and what the paired test says
// with them counted as right (any_form): a gain in `scores` that is none there is a gain in form. Where the base's
// count is high, the gain in accuracy may be a gain in form, and the questions should ask for the form (the generated
// ones do, in their system prompts; --question-suffix does in a file of GSM8K's form). Intervals: Wilson; paired test:
// McNemar, exact.
#pragma once

#include "validation/tasks/question_task_options.h"
#include "validation/tasks/task.h"

namespace nkat::validation {

// Reads or generates the questions and encodes their prompts; DataError with a question's place if it can't be used.
Measurement prepare_math_task(const QuestionTaskOptions& options, const EvalInputs& text);

}  // namespace nkat::validation
