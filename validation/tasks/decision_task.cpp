#include "validation/tasks/decision_task.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "data/datasets/record.h"
#include "validation/questions/answer_parser.h"
#include "validation/questions/generated_questions.h"
#include "validation/questions/predictions_file.h"
#include "validation/questions/question_file.h"
#include "validation/tasks/answer_generation.h"
#include "validation/tasks/label_likelihood.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

using Labels = std::vector<std::size_t>;  // 0 to 3 or kUnparsed, one a question

struct DecisionTask {
  QuestionSet<DecisionQuestion> set;
  std::vector<Prompt> prompts;
  std::vector<models::ScoredSequence> labeled;  // four a question
  AnsweringOptions answering;
  PredictionsFile file;
};

// One model's answers, the labels that they name, and those it holds likeliest.
struct Choices {
  Labels likeliest = {};
  Labels written = {};
  std::vector<LabelScores> scores = {};
  std::vector<std::string> texts = {};

  nlohmann::ordered_json row(std::size_t i) const {
    nlohmann::ordered_json row = {{"answer", texts[i]},
                                  {"read", nullptr},
                                  {"likeliest", data::kFourClasses[likeliest[i]]},
                                  {"log_probabilities", scores[i]}};
    if (written[i] != kUnparsed) row["read"] = data::kFourClasses[written[i]];
    return row;
  }
};

Choices choices(const EvalModel& subject, const std::vector<at::Tensor>& blocks, const DecisionTask& task,
                const std::string& who) {
  Choices made;
  made.scores = score_labels(subject, blocks, task.labeled, "labels" + who);
  made.texts = answer_prompts(subject, blocks, task.prompts, task.answering, "answers" + who).texts;
  for (const LabelScores& scores : made.scores) {
    made.likeliest.push_back(static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin()));
  }
  for (const std::string& text : made.texts) {
    const std::optional<NamedLabel> named = parse_label(text);
    made.written.push_back(named ? named->label : kUnparsed);
  }
  return made;
}

void write_answers(DecisionTask& task, const Choices& own, const Choices& base) {
  std::vector<nlohmann::ordered_json> rows;
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const DecisionQuestion& one = task.set.questions[i];
    nlohmann::ordered_json& row = rows.emplace_back();
    row = {{"where", one.question.where}, {"label", data::kFourClasses[one.label]}};
    row.update(own.row(i));
    if (!base.texts.empty()) row["base"] = base.row(i);
  }
  task.file.write(rows);
}

std::vector<bool> equal_labels(const Labels& truth, const Labels& given) {
  std::vector<bool> right;
  for (std::size_t i = 0; i < given.size(); ++i) right.push_back(given[i] == truth[i]);
  return right;
}

// base: empty without an adapter.
DecisionScore score(const Labels& truth, const Labels& given, const Labels& base) {
  DecisionScore result;
  result.accuracy = paired_accuracy(equal_labels(truth, given), equal_labels(truth, base));
  result.confusion = confusion_of(truth, given);
  result.macro_f1 = macro_f1(result.confusion);
  if (!base.empty()) {
    result.base_confusion = confusion_of(truth, base);
    result.base_macro_f1 = macro_f1(*result.base_confusion);
  }
  return result;
}

DecisionFinding measure(const EvalModel& subject, DecisionTask& task) {
  Choices base;
  if (subject.has_adapter()) base = choices(subject, {}, task, ", base");
  const Choices own = choices(subject, subject.blocks, task, "");
  write_answers(task, own, base);
  std::vector<std::string> languages;
  Labels labels;
  for (const DecisionQuestion& one : task.set.questions) {
    languages.push_back(one.question.language);
    labels.push_back(one.label);
  }
  DecisionFinding finding;
  finding.file = task.set.source;
  for (const auto& [name, indices] : groups_of(languages, {})) {
    const Labels truth = selected(labels, indices);
    finding.generated[name] = score(truth, selected(own.written, indices), selected(base.written, indices));
    finding.likelihood[name] = score(truth, selected(own.likeliest, indices), selected(base.likeliest, indices));
  }
  return finding;
}

void warn_of_form(const DecisionScore& score) {
  std::int64_t unparsed = 0;
  for (const auto& row : *score.base_confusion) unparsed += row[kUnparsed];
  if (2 * unparsed <= score.accuracy.model.questions) return;
  log::warning(
      fmt::format("{} of {} answers of the bare model name no label: part of the gain by generated answer may "
                  "be a gain in form; the likelihood of the labels doesn't depend on it",
                  unparsed, score.accuracy.model.questions));
}

}  // namespace

Measurement prepare_decision_task(const QuestionTaskOptions& options, const EvalInputs& text) {
  DecisionTask task{
      .set = options.files.empty()
                 ? generate_decision_questions(options.questions > 0 ? options.questions : kGeneratedQuestions)
                 : read_decision_questions(options.files, {options.questions, options.max_bad_records}),
      .prompts = {},
      .labeled = {},
      .answering = options.answering,
      .file = PredictionsFile(options.answers_file)};
  for (const DecisionQuestion& one : task.set.questions) task.prompts.push_back(encode_prompt(text, one.question));
  task.labeled = encode_labels(text, task.set.questions);
  return [task = std::move(task)](const EvalModel& subject, EvalResults& report) mutable {
    report.decision = measure(subject, task);
    if (subject.has_adapter()) warn_of_form(report.decision->generated.at("all"));
  };
}

}  // namespace nkat::validation
