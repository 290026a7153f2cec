#include "validation/questions/question.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_object.h"
#include "core/message.h"
#include "data/datasets/jsonl_pass.h"
#include "data/datasets/open_records.h"
#include "data/datasets/record.h"
#include "data/synthetic/generator.h"
#include "validation/questions/answer_parser.h"

namespace nkat::validation {
namespace {

using Json = nlohmann::ordered_json;

std::string text_or_empty(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

std::size_t label_index(const std::string& label) {
  return static_cast<std::size_t>(std::ranges::find(data::kFourClasses, label) - data::kFourClasses.begin());
}

// Takes the last assistant turn off and returns its text.
std::string take_answer(std::vector<data::Turn>& turns) {
  if (turns.empty() || turns.back().role != data::Role::kAssistant) return "";
  std::string answer = std::move(turns.back().content);
  turns.pop_back();
  return answer;
}

Question question_of(data::Record& record, const std::string& where) {
  if (record.turns.empty())
    throw DataError(fmt::format("{}: {}", where, expected("a message before the answer", "none")));
  return {.where = where, .turns = std::move(record.turns), .language = text_or_empty(record.metadata, "language")};
}

std::optional<DecisionQuestion> decision_question(std::string_view line, const std::string& where) {
  data::Record record = data::parse_record(line, where);
  if (record.label.empty()) return std::nullopt;
  if (record.kind == data::RecordKind::kText && record.turns.empty()) {
    throw DataError(fmt::format("{}: {}", where, expected("a question and an answer", "plain text with a label")));
  }
  std::string answer = take_answer(record.turns);
  return DecisionQuestion{
      .question = question_of(record, where), .answer = std::move(answer), .label = label_index(record.label)};
}

Decimal result_of(const std::string& answer, const std::string& where) {
  const std::optional<Decimal> result = parse_number(answer);
  if (result) return *result;
  throw DataError(
      fmt::format("{}: the answer has no number that can be read behind \"####\" or \"# 最終回答\"; its end is \"{}\"",
                  where, answer.substr(answer.size() - std::min<std::size_t>(answer.size(), 40))));
}

std::optional<MathQuestion> question_of_gsm8k(const Json& object, const std::string& where, const std::string& suffix) {
  for (const char* key : {"question", "answer"}) {
    if (!object[key].is_string() || object[key].get_ref<const std::string&>().empty()) {
      throw DataError(
          fmt::format("{}: key '{}': {}", where, key, expected("a string that is not empty", shown(&object[key]))));
    }
  }
  std::string question = object["question"].get<std::string>();
  if (!suffix.empty()) question += "\n" + suffix;
  return MathQuestion{.question = {.where = where,
                                   .turns = {{data::Role::kUser, std::move(question)}},
                                   .language = text_or_empty(object, "language")},
                      .result = result_of(object["answer"].get<std::string>(), where),
                      .kind = text_or_empty(object, "kind")};
}

std::optional<MathQuestion> math_question(std::string_view line, const std::string& where, const std::string& suffix) {
  const Json object = parse_json(line, where);
  if (object.is_object() && object.contains("question") && object.contains("answer")) {
    return question_of_gsm8k(object, where, suffix);
  }
  data::Record record = data::parse_record(line, where);
  const std::string task = text_or_empty(record.metadata, "task");
  if (!record.label.empty() || (!task.empty() && task != "math")) return std::nullopt;
  const Decimal result = result_of(take_answer(record.turns), where);
  return MathQuestion{
      .question = question_of(record, where), .result = result, .kind = text_or_empty(record.metadata, "kind")};
}

// parse: (line, where) -> a question, or nothing for a line of another task
template <class One, class Parse>
QuestionSet<One> read_questions(const std::vector<std::string>& files, const QuestionLimits& limits, const Parse& parse,
                                const char* hint) {
  QuestionSet<One> set{.source = fmt::format("{}", fmt::join(files, ", ")), .questions = {}};
  const auto full = [&] {
    return limits.questions > 0 && static_cast<std::int64_t>(set.questions.size()) >= limits.questions;
  };
  std::int64_t passed_over = 0;
  data::BadRecords bad(limits.bad_records, 5, data::BadRecords::Log::kEach);
  for (const std::string& file : files) {
    const std::unique_ptr<data::RecordSource> records = data::open_records(file);
    if (full()) continue;
    data::parse_records(*records, bad, parse, [&](std::optional<One> question, const data::RecordPlace&) {
      passed_over += question ? 0 : 1;
      if (question) set.questions.push_back(std::move(*question));
      return !full();
    });
  }
  if (bad.count() > 0)
    log::warning(fmt::format("{}: {} bad records left out (--max-bad-records)", set.source, bad.count()));
  if (set.questions.empty() && !limits.at_least_one) return set;
  if (set.questions.empty()) throw DataError(fmt::format("{}: no question of this task; {}", set.source, hint));
  if (passed_over > 0) log::info(fmt::format("{}: {} lines of other tasks passed over", set.source, passed_over));
  return set;
}

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

QuestionSet<DecisionQuestion> read_decision_questions(const std::vector<std::string>& files,
                                                      const QuestionLimits& limits) {
  return read_questions<DecisionQuestion>(files, limits, decision_question,
                                          "records with a label ALLOW, ESCALATION, DENY or REFUSE were expected");
}

QuestionSet<MathQuestion> read_math_questions(const std::vector<std::string>& files, const QuestionLimits& limits,
                                              const std::string& suffix) {
  const auto parse = [&](std::string_view line, const std::string& where) {
    return math_question(line, where, suffix);
  };
  return read_questions<MathQuestion>(files, limits, parse,
                                      "objects with question and answer, or records of the task math, were expected");
}

QuestionSet<DecisionQuestion> generate_decision_questions(std::int64_t count) {
  QuestionSet<DecisionQuestion> set{.source = "generated", .questions = {}};
  data::generate_records(test_split(data::GeneratedTask::kDecision, count), [&](const data::GeneratedRecord& record) {
    set.questions.push_back({.question = question_of(record, set.questions.size() + 1),
                             .answer = record.answer,
                             .label = label_index(record.label)});
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
