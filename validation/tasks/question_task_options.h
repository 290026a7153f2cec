// The evaluation tasks, and the options of those that ask questions: where the questions come from and how they are
// answered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cli/options.h"

namespace nkat::validation {

enum class Task { kLoss, kDecision, kMath };
inline constexpr EnumNames<Task, 3> kTaskNames = {
    {{Task::kLoss, "loss"}, {Task::kDecision, "decision"}, {Task::kMath, "math"}}};

enum class Ablation { kNone, kLayers };  // kLayers: each layer's gate closed in turn
inline constexpr EnumNames<Ablation, 2> kAblationNames = {{{Ablation::kNone, "none"}, {Ablation::kLayers, "layers"}}};

inline constexpr std::int64_t kGeneratedQuestions = 200;

struct AnsweringOptions {
  std::int64_t max_new_tokens = 256;
  std::int64_t generation_batch = 32;  // questions in work at once; fewer where their caches don't fit the memory
};

struct QuestionTaskOptions {
  std::vector<std::string> files = {};  // none: generated questions
  std::int64_t questions = 0;           // at most so many; 0: all of the files, kGeneratedQuestions generated ones
  std::int64_t max_bad_records = 0;     // of the files; DatasetOptions declares the option
  std::string question_suffix = "";     // a line below each question of GSM8K's form
  AnsweringOptions answering = {};
  std::string answers_file = "";  // where each question's answer goes (validation/tasks/paired_task.h); "": nowhere
};

// All but the files and max_bad_records, whose options each command names itself.
void declare_question_task_options(OptionList& options, QuestionTaskOptions& config);

}  // namespace nkat::validation
