#include "validation/tasks/math_task.h"

#include <fmt/format.h>

#include "validation/questions/answer_parser.h"
#include "validation/questions/question.h"
#include "validation/tasks/paired_task.h"

namespace nkat::validation {
namespace {

using MathTask = PairedTask<MathQuestion>;

// One model's answers and what was read from them.
struct Results {
  Answers answers = {};
  std::vector<std::optional<Decimal>> numbers = {};
  std::vector<bool> right = {};
  std::vector<bool> right_in_any_form = {};  // also unparsed answers that end in the right number
  std::int64_t unparsed = 0;
  std::int64_t unmarked_right = 0;

  nlohmann::ordered_json row(std::size_t i) const {
    nlohmann::ordered_json row = {{"answer", answers.texts[i]}, {"read", nullptr}, {"right", bool{right[i]}}};
    if (numbers[i]) row["read"] = numbers[i]->text();
    return row;
  }
};

Results answer(const EvalModel& model, const std::vector<at::Tensor>& blocks, const MathTask& task,
               const std::string& who) {
  Results results{.answers = answer_prompts(model, blocks, task.prompts, task.answering, "math" + who)};
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    const std::string& text = results.answers.texts[i];
    const Decimal& result = task.set.questions[i].result;
    results.numbers.push_back(parse_number(text));
    results.right.push_back(results.numbers[i] == result);
    const bool ends_right = !results.numbers[i] && last_number(text) == result;
    results.right_in_any_form.push_back(results.right[i] || ends_right);
    results.unparsed += results.numbers[i] ? 0 : 1;
    results.unmarked_right += ends_right ? 1 : 0;
  }
  return results;
}

void warn_of_form(const MathFinding& finding) {
  const std::string what = fmt::format(
      "don't give their number in the form asked for (\"#### 42\" or \"# 最終回答\"), {} of them end in the right one: "
      "part of the gain may be a gain in form; --question-suffix can ask for the form",
      finding.base_unmarked_right);
  warn_if_most_unparsed(finding.base_unparsed, finding.scores.at("all").model.questions, what);
}

MathFinding measure(const EvalModel& model, MathTask& task) {
  const Paired<Results> answers = answer_paired(
      model,
      [&](const std::vector<at::Tensor>& blocks, const std::string& who) { return answer(model, blocks, task, who); });
  const auto& [adapted, base] = answers;
  write_predictions(task, answers, model.has_adapter(), [](const MathQuestion& one) {
    return nlohmann::ordered_json{{"result", one.result.text()}};
  });
  MathFinding finding;
  finding.file = task.set.source;
  finding.unparsed = adapted.unparsed;
  finding.unmarked_right = adapted.unmarked_right;
  finding.any_form = paired_accuracy(adapted.right_in_any_form, base.right_in_any_form);
  finding.base_unparsed = base.unparsed;
  finding.base_unmarked_right = base.unmarked_right;
  const double seconds = base.answers.seconds + adapted.answers.seconds;
  const std::int64_t tokens = base.answers.new_tokens + adapted.answers.new_tokens;
  if (seconds > 0) finding.tokens_per_second = static_cast<double>(tokens) / seconds;
  for (const auto& [name, indices] : question_groups(task.set.questions)) {
    finding.scores[name] = paired_accuracy(selected(adapted.right, indices), selected(base.right, indices));
  }
  if (model.has_adapter()) warn_of_form(finding);
  return finding;
}

}  // namespace

EvalTask prepare_math_task(const QuestionTaskOptions& options, const EvalInputs& inputs) {
  MathTask task = prepare_paired_task(
      options.files.empty()
          ? generate_math_questions(generated_count(options))
          : read_math_questions(options.files, {options.questions, options.max_bad_records}, options.question_suffix),
      options, inputs);
  return [task = std::move(task)](const EvalModel& model, EvalResults& results) mutable {
    results.math = measure(model, task);
  };
}

}  // namespace nkat::validation
