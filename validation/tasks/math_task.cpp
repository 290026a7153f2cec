#include "validation/tasks/math_task.h"

#include <fmt/format.h>

#include "core/log.h"
#include "validation/tasks/answer_parser.h"
#include "validation/tasks/generated_questions.h"
#include "validation/tasks/question_file.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

struct MathTask {
  QuestionSet<MathQuestion> set;
  std::vector<Prompt> prompts;
  AnsweringOptions answering;
};

struct Marks {
  std::vector<bool> right;
  std::int64_t unparsed = 0;
  std::int64_t unmarked_right = 0;
};

Marks marks_of(const std::vector<MathQuestion>& questions, const std::vector<std::string>& answers) {
  Marks marks;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::optional<Decimal> number = parse_number(answers[i]);
    marks.right.push_back(number == questions[i].result);
    if (number) continue;
    ++marks.unparsed;
    if (unmarked_number(answers[i]) == questions[i].result) ++marks.unmarked_right;
  }
  return marks;
}

void warn_of_form(const MathFinding& finding) {
  const std::int64_t questions = finding.scores.at("all").model.questions;
  if (2 * finding.base_unparsed <= questions) return;
  log::warning(
      fmt::format("{} of {} answers of the bare model don't give their number in the form asked for (\"#### 42\" or "
                  "\"# 最終回答\"), "
                  "{} of them end in the right one: part of the gain is a gain in form",
                  finding.base_unparsed, questions, finding.base_unmarked_right));
}

MathFinding measure(const Subject& subject, const MathTask& task) {
  const std::vector<MathQuestion>& questions = task.set.questions;
  MathFinding finding;
  finding.file = task.set.source;
  Answers base_answers;
  Marks base;
  if (subject.has_adapter()) {
    base_answers = answer_prompts(subject, {}, task.prompts, task.answering, "math, base");
    base = marks_of(questions, base_answers.texts);
    finding.base_unparsed = base.unparsed;
    finding.base_unmarked_right = base.unmarked_right;
  }
  const Answers answers = answer_prompts(subject, subject.blocks, task.prompts, task.answering, "math");
  const Marks marks = marks_of(questions, answers.texts);
  finding.unparsed = marks.unparsed;
  finding.unmarked_right = marks.unmarked_right;
  const double seconds = base_answers.seconds + answers.seconds;
  const std::int64_t tokens = base_answers.new_tokens + answers.new_tokens;
  if (seconds > 0) finding.tokens_per_second = static_cast<double>(tokens) / seconds;
  std::vector<std::string> languages, kinds;
  for (const MathQuestion& one : questions) {
    languages.push_back(one.question.language);
    kinds.push_back(one.kind);
  }
  for (const auto& [name, indices] : groups_of(languages, kinds)) {
    finding.scores[name] = paired_accuracy(selected(marks.right, indices), selected(base.right, indices));
  }
  return finding;
}

}  // namespace

Measurement prepare_math_task(const QuestionTaskOptions& options, const SubjectText& text) {
  MathTask task{.set = options.files.empty()
                           ? generate_math_questions(options.questions > 0 ? options.questions : kGeneratedQuestions)
                           : read_math_questions(options.files, options.questions),
                .prompts = {},
                .answering = options.answering};
  for (const MathQuestion& one : task.set.questions) task.prompts.push_back(encode_prompt(text, one.question));
  return [task = std::move(task)](const Subject& subject, GainReport& report) {
    report.math = measure(subject, task);
    if (subject.has_adapter()) warn_of_form(*report.math);
  };
}

}  // namespace nkat::validation
