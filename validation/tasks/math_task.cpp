#include "validation/tasks/math_task.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "validation/questions/answer_parser.h"
#include "validation/questions/generated_questions.h"
#include "validation/questions/predictions_file.h"
#include "validation/questions/question_file.h"
#include "validation/tasks/answer_generation.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

struct MathTask {
  QuestionSet<MathQuestion> set;
  std::vector<Prompt> prompts;
  AnsweringOptions answering;
  PredictionsFile file;
};

// One model's answers and what was read from them.
struct Sheet {
  Answers answers = {};
  std::vector<std::optional<Decimal>> numbers = {};
  std::vector<bool> right = {};
  std::vector<bool> right_in_any_form = {};  // unparsed answers that end in the right number, too
  std::int64_t unparsed = 0;
  std::int64_t unmarked_right = 0;

  nlohmann::ordered_json row(std::size_t i) const {
    nlohmann::ordered_json row = {{"answer", answers.texts[i]}, {"read", nullptr}, {"right", bool{right[i]}}};
    if (numbers[i]) row["read"] = numbers[i]->text();
    return row;
  }
};

Sheet answer(const EvalModel& subject, const std::vector<at::Tensor>& blocks, const MathTask& task, const char* title) {
  Sheet sheet{.answers = answer_prompts(subject, blocks, task.prompts, task.answering, title)};
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const std::string& text = sheet.answers.texts[i];
    const Decimal& result = task.set.questions[i].result;
    sheet.numbers.push_back(parse_number(text));
    sheet.right.push_back(sheet.numbers[i] == result);
    const bool ends_right = !sheet.numbers[i] && last_number(text) == result;
    sheet.right_in_any_form.push_back(sheet.right[i] || ends_right);
    sheet.unparsed += sheet.numbers[i] ? 0 : 1;
    sheet.unmarked_right += ends_right ? 1 : 0;
  }
  return sheet;
}

void write_answers(MathTask& task, const Sheet& own, const Sheet& base) {
  std::vector<nlohmann::ordered_json> rows;
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const MathQuestion& one = task.set.questions[i];
    nlohmann::ordered_json& row = rows.emplace_back();
    row = {{"where", one.question.where}, {"result", one.result.text()}};
    row.update(own.row(i));
    if (!base.right.empty()) row["base"] = base.row(i);
  }
  task.file.write(rows);
}

void warn_of_form(const MathFinding& finding) {
  const std::int64_t questions = finding.scores.at("all").model.questions;
  if (2 * finding.base_unparsed <= questions) return;
  log::warning(fmt::format(
      "{} of {} answers of the bare model don't give their number in the form asked for (\"#### 42\" or "
      "\"# 最終回答\"), "
      "{} of them end in the right one: part of the gain may be a gain in form; --question-suffix can ask for the form",
      finding.base_unparsed, questions, finding.base_unmarked_right));
}

MathFinding measure(const EvalModel& subject, MathTask& task) {
  Sheet base;
  if (subject.has_adapter()) base = answer(subject, {}, task, "math, base");
  const Sheet own = answer(subject, subject.blocks, task, "math");
  write_answers(task, own, base);
  MathFinding finding;
  finding.file = task.set.source;
  finding.unparsed = own.unparsed;
  finding.unmarked_right = own.unmarked_right;
  finding.any_form = paired_accuracy(own.right_in_any_form, base.right_in_any_form);
  finding.base_unparsed = base.unparsed;
  finding.base_unmarked_right = base.unmarked_right;
  const double seconds = base.answers.seconds + own.answers.seconds;
  const std::int64_t tokens = base.answers.new_tokens + own.answers.new_tokens;
  if (seconds > 0) finding.tokens_per_second = static_cast<double>(tokens) / seconds;
  std::vector<std::string> languages, kinds;
  for (const MathQuestion& one : task.set.questions) {
    languages.push_back(one.question.language);
    kinds.push_back(one.kind);
  }
  for (const auto& [name, indices] : groups_of(languages, kinds)) {
    finding.scores[name] = paired_accuracy(selected(own.right, indices), selected(base.right, indices));
  }
  return finding;
}

}  // namespace

Measurement prepare_math_task(const QuestionTaskOptions& options, const EvalInputs& text) {
  MathTask task{.set = options.files.empty()
                           ? generate_math_questions(options.questions > 0 ? options.questions : kGeneratedQuestions)
                           : read_math_questions(options.files, {options.questions, options.max_bad_records},
                                                 options.question_suffix),
                .prompts = {},
                .answering = options.answering,
                .file = PredictionsFile(options.answers_file)};
  for (const MathQuestion& one : task.set.questions) task.prompts.push_back(encode_prompt(text, one.question));
  return [task = std::move(task)](const EvalModel& subject, EvalResults& report) mutable {
    report.math = measure(subject, task);
    if (subject.has_adapter()) warn_of_form(*report.math);
  };
}

}  // namespace nkat::validation
