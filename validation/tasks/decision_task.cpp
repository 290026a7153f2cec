#include "validation/tasks/decision_task.h"

#include <algorithm>

#include "validation/tasks/answer_parser.h"
#include "validation/tasks/generated_questions.h"
#include "validation/tasks/label_likelihood.h"
#include "validation/tasks/question_file.h"
#include "validation/tasks/scores.h"

namespace nkat::validation {
namespace {

using Labels = std::vector<std::size_t>;  // 0 to 3 or kUnparsed, one a question

struct DecisionTask {
  QuestionSet<DecisionQuestion> set;
  std::vector<Prompt> prompts;
  std::vector<models::ScoredSequence> labelled;  // four a question
  AnsweringOptions answering;
};

struct Choices {
  Labels likeliest;
  Labels written;
};

Choices choices(const Subject& subject, const std::vector<at::Tensor>& blocks, const DecisionTask& task,
                const std::string& who) {
  Choices made;
  for (const LabelScores& scores : score_labels(subject, blocks, task.labelled, "labels" + who)) {
    made.likeliest.push_back(static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin()));
  }
  for (const std::string& text : answer_prompts(subject, blocks, task.prompts, task.answering, "answers" + who).texts) {
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

DecisionFinding measure(const Subject& subject, const DecisionTask& task) {
  Choices base;
  if (subject.has_adapter()) base = choices(subject, {}, task, ", base");
  const Choices own = choices(subject, subject.blocks, task, "");
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

}  // namespace

Measurement prepare_decision_task(const QuestionTaskOptions& options, const SubjectText& text) {
  DecisionTask task{.set = options.files.empty() ? generate_decision_questions(
                                                       options.questions > 0 ? options.questions : kGeneratedQuestions)
                                                 : read_decision_questions(options.files, options.questions),
                    .prompts = {},
                    .labelled = {},
                    .answering = options.answering};
  for (const DecisionQuestion& one : task.set.questions) task.prompts.push_back(encode_prompt(text, one.question));
  task.labelled = encode_labels(text, task.set.questions);
  return [task = std::move(task)](const Subject& subject, GainReport& report) {
    report.decision = measure(subject, task);
  };
}

}  // namespace nkat::validation
