#include "validation/tasks/decision_task.h"

#include <algorithm>

#include "data/datasets/record.h"
#include "validation/questions/answer_parser.h"
#include "validation/questions/question.h"
#include "validation/tasks/label_likelihood.h"
#include "validation/tasks/paired_task.h"

namespace nkat::validation {
namespace {

using Labels = std::vector<std::size_t>;  // 0 to 3 or kUnparsed, one per question

struct DecisionTask {
  PairedTask<DecisionQuestion> asked;
  std::vector<models::ScoredSequence> labeled;  // four per question
};

// One model's answers, the labels that they name, and the likeliest ones.
struct Decisions {
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

Decisions decide(const EvalModel& model, const std::vector<at::Tensor>& blocks, const DecisionTask& task,
                 const std::string& who) {
  Decisions made;
  made.scores = score_labels(model, blocks, task.labeled, "labels" + who);
  made.texts = answer_prompts(model, blocks, task.asked.prompts, task.asked.answering, "answers" + who).texts;
  for (const LabelScores& scores : made.scores) {
    made.likeliest.push_back(static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin()));
  }
  for (const std::string& text : made.texts) {
    const std::optional<NamedLabel> named = parse_label(text);
    made.written.push_back(named ? named->label : kUnparsed);
  }
  return made;
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

void warn_of_form(const DecisionScore& score) {
  std::int64_t unparsed = 0;
  for (const auto& row : *score.base_confusion) unparsed += row[kUnparsed];
  warn_if_most_unparsed(unparsed, score.accuracy.model.questions,
                        "name no label: part of the gain by generated answer may be a gain in form; the likelihood of "
                        "the labels doesn't depend on it");
}

DecisionFinding measure(const EvalModel& model, DecisionTask& task) {
  const Paired<Decisions> answers = answer_paired(
      model,
      [&](const std::vector<at::Tensor>& blocks, const std::string& who) { return decide(model, blocks, task, who); });
  const auto& [adapted, base] = answers;
  const std::vector<DecisionQuestion>& questions = task.asked.set.questions;
  write_predictions(task.asked, answers, model.has_adapter(), [](const DecisionQuestion& one) {
    return nlohmann::ordered_json{{"label", data::kFourClasses[one.label]}};
  });
  Labels labels;
  for (const DecisionQuestion& one : questions) labels.push_back(one.label);
  DecisionFinding finding;
  finding.file = task.asked.set.source;
  for (const auto& [name, indices] : question_groups(questions)) {
    const Labels truth = selected(labels, indices);
    finding.generated[name] = score(truth, selected(adapted.written, indices), selected(base.written, indices));
    finding.likelihood[name] = score(truth, selected(adapted.likeliest, indices), selected(base.likeliest, indices));
  }
  if (model.has_adapter()) warn_of_form(finding.generated.at("all"));
  return finding;
}

EvalTask prepare(QuestionSet<DecisionQuestion> set, const QuestionTaskOptions& options, const EvalInputs& inputs) {
  DecisionTask task{.asked = prepare_paired_task(std::move(set), options, inputs), .labeled = {}};
  task.labeled = encode_labels(inputs, task.asked.set.questions);
  return [task = std::move(task)](const EvalModel& model, EvalResults& results) mutable {
    results.decision = measure(model, task);
  };
}

}  // namespace

EvalTask prepare_decision_task(const QuestionTaskOptions& options, const EvalInputs& inputs) {
  if (options.files.empty()) return prepare(generate_decision_questions(generated_count(options)), options, inputs);
  return prepare(read_decision_questions(options.files, {options.questions, options.max_bad_records}), options, inputs);
}

std::optional<EvalTask> prepare_decision_task_if_labeled(const QuestionTaskOptions& options, const EvalInputs& inputs) {
  QuestionSet<DecisionQuestion> set =
      read_decision_questions(options.files, {options.questions, options.max_bad_records, /*at_least_one=*/false});
  if (set.questions.empty()) return std::nullopt;
  return prepare(std::move(set), options, inputs);
}

}  // namespace nkat::validation
