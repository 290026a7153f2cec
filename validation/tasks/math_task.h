// Exact match on arithmetic and plane geometry: how many questions a model answers with the right number, with and
// without its adapter.
//
// The number follows the last "####" or "# 最終回答" of the answer (answer_parser.h) and is compared as an exact decimal.
// An answer without such a mark, or with anything but one number after it, is unparsed, and unparsed is wrong: taking
// the last number of any text would reward chance. But a base that was never shown this form fails by form alone, so
// the finding also counts the unparsed answers that end in the right number, and repeats the paired test with them
// counted as right (any_form): a gain in `scores` that is absent there is a gain in form. Where the base's count is
// high, the questions should ask for the form (the generated ones do, in their system prompts; --question-suffix does
// in a file in GSM8K's form). Intervals: Wilson; paired test: McNemar, exact. Keys in the predictions file: result,
// answer, read, right.
#pragma once

#include "validation/tasks/eval_model.h"
#include "validation/tasks/question_task_options.h"

namespace nkat::validation {

// Reads or generates the questions and encodes their prompts; DataError with a question's place if it can't be used.
EvalTask prepare_math_task(const QuestionTaskOptions& options, const EvalInputs& inputs);

}  // namespace nkat::validation
