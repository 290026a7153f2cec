#include "validation/tasks/question_task_options.h"

#include <fmt/format.h>

namespace nkat::validation {

void declare_question_task_options(OptionList& options, QuestionTaskOptions& config) {
  options.add(
      "questions", config.questions,
      {.help = fmt::format("decision, math: questions to ask at most, 0 = all of the files or {} generated ones",
                           kGeneratedQuestions),
       .minimum = 0,
       .maximum = 1'000'000});
  options.add(
      "question-suffix", config.question_suffix,
      {.help = "math: line appended to each question of a file in GSM8K's form, such as \"End with #### and the "
               "number alone.\", for models that were not trained on that form",
       .metavar = "TEXT"});
  options.add("max-new-tokens", config.answering.max_new_tokens,
              {.help = "decision, math: length limit of an answer", .unit = "tokens", .minimum = 1});
  options.add("generation-batch", config.answering.generation_batch,
              {.help = "decision, math: questions answered at once, fewer where their key-value caches don't fit",
               .minimum = 1,
               .maximum = 4096});
}

}  // namespace nkat::validation
