// A model's greedy answers to questions, in text, many at a time (models/batch_generation.h).
//
// A prompt is the question's turns rendered with the model's template and a generation prompt, as `nkat generate` does;
// an answer is the new text without its end token. Base and adapter are two calls on the same decoder, whose blocks
// alone differ. A question that the model can't take is a DataError with its place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/tasks/question.h"
#include "validation/tasks/subject.h"

namespace nkat::validation {

struct AnsweringOptions {
  std::int64_t max_new_tokens = 256;
  std::int64_t generation_batch = 32;  // questions in work at once; fewer where their caches don't fit the memory
};

struct Answers {
  std::vector<std::string> texts;  // in the questions' order
  std::int64_t new_tokens = 0;
  double seconds = 0.0;
};

std::vector<std::int32_t> encode_prompt(const Subject& subject, const Question& question);

// blocks: the subject's, or empty for the bare model. title: what stands before the progress bar.
Answers answer_questions(const Subject& subject, const std::vector<at::Tensor>& blocks,
                         const std::vector<Question>& questions, const AnsweringOptions& options,
                         const std::string& title);

}  // namespace nkat::validation
