#include "validation/questions/generated_questions.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "data/datasets/record.h"
#include "data/synthetic/generator.h"
#include "validation/questions/answer_parser.h"

namespace nkat::validation {
namespace {

Question question_of(const data::GeneratedRecord& record, std::size_t number) {
  Question question{.where = fmt::format("generated question {}", number),
                    .turns = {},
                    .language = data::language_code(record.language)};
  if (!record.system.empty()) question.turns.push_back({data::Role::kSystem, record.system});
  question.turns.push_back({data::Role::kUser, record.user});
  return question;
}

data::GeneratorOptions test_split(data::GeneratedTask task, std::int64_t count) {
  return {.tasks = {task},
          .languages = {data::Language::kEnglish, data::Language::kJapanese},
          .count = count,
          .split = data::Split::kTest};
}

}  // namespace

QuestionSet<DecisionQuestion> generate_decision_questions(std::int64_t count) {
  QuestionSet<DecisionQuestion> set{.source = "generated", .questions = {}};
  data::generate_records(test_split(data::GeneratedTask::kDecision, count), [&](const data::GeneratedRecord& record) {
    const auto label = std::ranges::find(data::kFourClasses, record.label) - data::kFourClasses.begin();
    set.questions.push_back({.question = question_of(record, set.questions.size() + 1),
                             .answer = record.answer,
                             .label = static_cast<std::size_t>(label)});
  });
  return set;
}

QuestionSet<MathQuestion> generate_math_questions(std::int64_t count) {
  QuestionSet<MathQuestion> set{.source = "generated", .questions = {}};
  data::generate_records(test_split(data::GeneratedTask::kMath, count), [&](const data::GeneratedRecord& record) {
    const std::optional<Decimal> result = parse_number(record.answer);
    NKAT_INVARIANT(result.has_value());
    set.questions.push_back(
        {.question = question_of(record, set.questions.size() + 1), .result = *result, .kind = record.kind});
  });
  return set;
}

}  // namespace nkat::validation
