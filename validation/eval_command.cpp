#include <iostream>

#include <nlohmann/json.hpp>

#include "core/signals.h"
#include "data/text/model_text.h"
#include "models/device.h"
#include "validation/commands.h"
#include "validation/report/eval_json.h"
#include "validation/report/eval_text.h"
#include "validation/run/output_paths.h"
#include "validation/tasks/decision_task.h"
#include "validation/tasks/loss_task.h"
#include "validation/tasks/math_task.h"

namespace nkat::validation {
namespace {

struct EvalConfig {
  EvalModelOptions subject;
  data::DatasetOptions dataset;
  std::vector<std::string> general_data;
  Task task = Task::kLoss;
  Ablation ablate = Ablation::kNone;
  QuestionTaskOptions questions;
  bool json = false;
};

void declare_options(OptionList& options, EvalConfig& config) {
  options.add("model-path", config.subject.model_path,
              {.help = data::kModelPathHelp, .metavar = data::kModelPathMetavar, .required = true});
  options.add(
      "adapter", config.subject.adapter,
      {.help = "folder of an adapter, a checkpoint or a run; the base model is measured too", .metavar = "DIR"});
  options.add("data", config.dataset.files,
              {.help = "JSONL files; decision and math without them: generated questions that are in no training set",
               .metavar = "FILE"});
  options.add(
      "task", config.task, kTaskNames,
      {.help = "what to measure: loss and perplexity of the target tokens; accuracy of four-class decisions, by "
               "answer and by likelihood; accuracy of numbers in arithmetic and geometry (records, or GSM8K's "
               "question and answer)"});
  options.add(
      "general-data", config.general_data,
      {.help = "JSONL files of general text: with --adapter, the loss there before and after", .metavar = "FILE"});
  options.add("ablate", config.ablate, kAblationNames,
              {.help = "with --adapter: the loss with each layer's gate closed in turn"});
  declare_question_task_options(options, config.questions);
  options.add("answers-file", config.questions.answers_file,
              {.help = "decision, math: file for each question's answer and what was read from it, one JSON object per "
                       "line",
               .metavar = "FILE"});
  data::declare_dataset_options(options, config.dataset);
  models::declare_device_options(options, config.subject.device, config.subject.precision, config.subject.base);
  options.add("json", config.json, {.help = "print JSON"});
}

std::vector<std::string> wrong_combinations(const EvalConfig& config) {
  std::vector<std::string> errors;
  const bool loss = config.task == Task::kLoss;
  if (loss && config.dataset.files.empty())
    errors.push_back("--data is required for --task loss; give one or more JSONL files");
  if (!loss && (config.ablate != Ablation::kNone || !config.general_data.empty())) {
    errors.push_back(fmt::format("--task {}: --ablate and --general-data measure loss; use --task loss",
                                 name_of(config.task, kTaskNames)));
  }
  if (loss && !config.questions.answers_file.empty())
    errors.push_back("--answers-file belongs to the tasks decision and math; --task loss has no answers");
  if (config.ablate == Ablation::kLayers && config.subject.adapter.empty())
    errors.push_back("--ablate layers closes the gates of an adapter, and there is none; give --adapter DIR");
  return errors;
}

EvalTask prepare(const EvalConfig& config, const EvalInputs& inputs) {
  QuestionTaskOptions asked = config.questions;
  asked.files = config.dataset.files;
  asked.max_bad_records = config.dataset.max_bad_records;
  if (config.task == Task::kDecision) return prepare_decision_task(asked, inputs);
  if (config.task == Task::kMath) return prepare_math_task(asked, inputs);
  return prepare_loss_task({.dataset = config.dataset,
                            .general_data = config.general_data,
                            .ablate_layers = config.ablate == Ablation::kLayers},
                           inputs);
}

ExitCode evaluate(const EvalConfig& config) {
  install_stop_signals();
  if (!config.questions.answers_file.empty()) {
    check_output_paths({{"--answers-file", config.questions.answers_file}},
                       {config.dataset.files.begin(), config.dataset.files.end()}, {});
  }
  EvalInputs inputs = read_eval_inputs(config.subject);
  const EvalTask run = prepare(config, inputs);
  EvalResults results;
  run(open_eval_model(std::move(inputs)), results);
  std::cout << (config.json ? to_json(results).dump() + '\n' : to_text(results));
  return ExitCode::kDone;
}

ExitCode run_eval(const EvalConfig& config) {
  try {
    return evaluate(config);
  } catch (...) {
    models::rethrow_memory_as_device_error("nkat eval");
  }
}

}  // namespace

Command make_eval_command() {
  auto config = std::make_shared<EvalConfig>();
  Command command{.name = "eval",
                  .summary = "evaluates a model, or an adapter against its base: loss, decisions, math"};
  command.description =
      "loss: mean cross-entropy in nats over the target tokens, and perplexity, with 95 % intervals (bootstrap over "
      "samples). With --adapter the base model is measured on the same tokens: the change is paired by sample, and the "
      "KL divergence from the base is reported.\n"
      "decision, math: questions answered by greedy decoding, in batches, and parsed; an answer that can't be parsed "
      "is "
      "wrong. With --adapter the base model answers the same questions (McNemar's test). Intervals: Wilson.";
  declare_options(*command.options, *config);
  command.options->add_check([config] { return wrong_combinations(*config); });
  command.uses_tensors = true;
  command.run = [config] { return run_eval(*config); };
  return command;
}

}  // namespace nkat::validation
