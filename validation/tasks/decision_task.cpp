#include "validation/tasks/decision_task.h"

#include <algorithm>

#include "validation/tasks/answer_parser.h"
#include "validation/tasks/label_likelihood.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

using Labels = std::vector<std::size_t>;  // 0 to 3 or kUnparsed, one a question

Labels generated_labels(const Subject& subject, const std::vector<at::Tensor>& blocks,
                        const std::vector<DecisionQuestion>& questions, const AnsweringOptions& options,
                        const std::string& title) {
  std::vector<Question> asked;
  for (const DecisionQuestion& one : questions) asked.push_back(one.question);
  Labels labels;
  for (const std::string& text : answer_questions(subject, blocks, asked, options, title).texts) {
    const std::optional<NamedLabel> named = parse_label(text);
    labels.push_back(named ? named->label : kUnparsed);
  }
  return labels;
}

Labels likeliest_labels(const Subject& subject, const std::vector<at::Tensor>& blocks,
                        const std::vector<DecisionQuestion>& questions, const std::string& title) {
  Labels labels;
  for (const LabelScores& scores : score_labels(subject, blocks, questions, title)) {
    labels.push_back(static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin()));
  }
  return labels;
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

}  // namespace

DecisionFinding measure_decisions(const Subject& subject, const QuestionSet<DecisionQuestion>& set,
                                  const AnsweringOptions& options) {
  const std::vector<DecisionQuestion>& questions = set.questions;
  std::vector<std::string> languages;
  Labels truth;
  for (const DecisionQuestion& one : questions) {
    languages.push_back(one.question.language);
    truth.push_back(one.label);
  }
  Labels base_written, base_likeliest;
  if (subject.has_adapter()) {
    base_likeliest = likeliest_labels(subject, {}, questions, "labels, base");
    base_written = generated_labels(subject, {}, questions, options, "answers, base");
  }
  const Labels likeliest = likeliest_labels(subject, subject.blocks, questions, "labels");
  const Labels written = generated_labels(subject, subject.blocks, questions, options, "answers");
  DecisionFinding finding{.file = set.source};
  for (const auto& [name, indices] : groups_of(languages, {})) {
    const Labels chosen = selected(truth, indices);
    finding.generated[name] = score(chosen, selected(written, indices), selected(base_written, indices));
    finding.likelihood[name] = score(chosen, selected(likeliest, indices), selected(base_likeliest, indices));
  }
  return finding;
}

}  // namespace nkat::validation
