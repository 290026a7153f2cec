#include "validation/tasks/math_task.h"

#include "validation/tasks/answer_parser.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

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

}  // namespace

MathFinding measure_math(const Subject& subject, const QuestionSet<MathQuestion>& set,
                         const AnsweringOptions& options) {
  std::vector<Question> questions;
  std::vector<std::string> languages, kinds;
  for (const MathQuestion& one : set.questions) {
    questions.push_back(one.question);
    languages.push_back(one.question.language);
    kinds.push_back(one.kind);
  }
  MathFinding finding{.file = set.source};
  Marks base;
  Answers answers;
  if (subject.has_adapter()) {
    answers = answer_questions(subject, {}, questions, options, "math, base");
    base = marks_of(set.questions, answers.texts);
    finding.base_unparsed = base.unparsed;
    finding.base_unmarked_right = base.unmarked_right;
  }
  const Answers own = answer_questions(subject, subject.blocks, questions, options, "math");
  const Marks marks = marks_of(set.questions, own.texts);
  finding.unparsed = marks.unparsed;
  finding.unmarked_right = marks.unmarked_right;
  const double seconds = answers.seconds + own.seconds;
  if (seconds > 0) finding.tokens_per_second = static_cast<double>(answers.new_tokens + own.new_tokens) / seconds;
  for (const auto& [name, indices] : groups_of(languages, kinds)) {
    finding.scores[name] = paired_accuracy(selected(marks.right, indices), selected(base.right, indices));
  }
  return finding;
}

}  // namespace nkat::validation
