// What decision_task and math_task share: questions that a model answers with and without its adapter.
//
//   prepare   questions and prompts are read and encoded, and the predictions file is opened, before any weight is read
//   run       both models answer; each question's answers go to the predictions file; scores are taken by group
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "validation/questions/question.h"
#include "validation/tasks/answer_generation.h"
#include "validation/tasks/eval_results.h"

namespace nkat {
class AppendFile;
}

namespace nkat::validation {

// Each question's answer and how it was read, one JSON object per line. Keys: where, then the task's own; with an
// adapter, the bare model's are under "base".
class PredictionsFile {
 public:
  // Creates the file or empties it, so that an unwritable one is refused before anything is computed (DataError or
  // DeviceError). "": nothing is written.
  explicit PredictionsFile(const std::string& path);
  void write(const std::vector<nlohmann::ordered_json>& rows);

 private:
  std::shared_ptr<AppendFile> file_;
};

template <class One>
struct PairedTask {
  QuestionSet<One> set;
  std::vector<Prompt> prompts;
  AnsweringOptions answering;
  PredictionsFile predictions;
};

// DataError with a question's place if it can't be used.
template <class One>
PairedTask<One> prepare_paired_task(QuestionSet<One> set, const QuestionTaskOptions& options,
                                    const EvalInputs& inputs) {
  PairedTask<One> task{.set = std::move(set),
                       .prompts = {},
                       .answering = options.answering,
                       .predictions = PredictionsFile(options.answers_file)};
  for (const One& one : task.set.questions) task.prompts.push_back(encode_prompt(inputs, one.question));
  return task;
}

// Number of questions to generate where no files are given.
std::int64_t generated_count(const QuestionTaskOptions& options);

// What two models answered. base is empty without an adapter.
template <class Answers>
struct Paired {
  Answers adapted;
  Answers base;
};

// answer: (adapter matrices by layer, what to append to a progress bar's title) -> Answers. The base answers first.
template <class Answer>
auto answer_paired(const EvalModel& model, const Answer& answer) {
  Paired<decltype(answer(model.blocks, ""))> answers = {};
  if (model.has_adapter()) answers.base = answer({}, ", base");
  answers.adapted = answer(model.blocks, "");
  return answers;
}

// truth: question -> JSON object of what is right. Answers::row(i): what was answered to question i.
template <class One, class Answers, class Truth>
void write_predictions(PairedTask<One>& task, const Paired<Answers>& answers, bool with_base, const Truth& truth) {
  std::vector<nlohmann::ordered_json> rows;
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const One& one = task.set.questions[i];
    nlohmann::ordered_json& row = rows.emplace_back();
    row = {{"where", one.question.where}};
    row.update(truth(one));
    row.update(answers.adapted.row(i));
    if (with_base) row["base"] = answers.base.row(i);
  }
  task.predictions.write(rows);
}

// Indices of the questions by group: groups_of() of their languages and kinds.
std::map<std::string, std::vector<std::size_t>> question_groups(const std::vector<DecisionQuestion>& questions);
std::map<std::string, std::vector<std::size_t>> question_groups(const std::vector<MathQuestion>& questions);

// Warns if more than half of the bare model's answers could not be read: part of a gain may then be a gain in form.
void warn_if_most_unparsed(std::int64_t unparsed, std::int64_t questions, const std::string& what);

}  // namespace nkat::validation
