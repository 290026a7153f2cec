// A model's greedy answers to questions, in batches (models/generation/generation.h).
//
// A prompt is the question's turns rendered with the model's template and a generation prompt, as `nkat generate` does;
// an answer is the new text without its end token. Base and adapter are two calls on the same decoder, whose blocks
// alone differ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/questions/question.h"
#include "validation/tasks/eval_model.h"
#include "validation/tasks/question_task_options.h"

namespace nkat::validation {

struct Answers {
  std::vector<std::string> texts;  // in the prompts' order
  std::int64_t new_tokens = 0;
  double seconds = 0.0;
};

using Prompt = std::vector<std::int32_t>;

// DataError with the question's place if the model can't take these tokens.
void require_usable(const Prompt& tokens, const EvalInputs& inputs, const Question& question);
Prompt encode_prompt(const EvalInputs& inputs, const Question& question);

// blocks: the model's, or empty for the bare model. title: of the progress bar. Interrupted if a
// stop was requested.
Answers answer_prompts(const EvalModel& model, const std::vector<at::Tensor>& blocks,
                       const std::vector<Prompt>& prompts, const AnsweringOptions& options, const std::string& title);

}  // namespace nkat::validation
