// Where the questions of a task come from and how they are answered: the choices that the tasks have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/tasks/answering.h"

namespace nkat::validation {

inline constexpr std::int64_t kGeneratedQuestions = 200;

struct QuestionTaskOptions {
  std::vector<std::string> files = {};  // none: generated questions
  std::int64_t questions = 0;           // at most so many; 0: all of the files, kGeneratedQuestions generated ones
  AnsweringOptions answering = {};
  std::string answers_file = "";  // where each question's answer goes (answers_file.h); "": nowhere
};

}  // namespace nkat::validation
