#include "validation/eval_command.h"

#include <iostream>

#include <nlohmann/json.hpp>

#include "core/signals.h"
#include "models/device_errors.h"
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
  std::string task = "loss";
  std::string ablate = "none";
  QuestionTaskOptions questions;
  bool json = false;
};

void declare_options(OptionList& options, EvalConfig& config) {
  options.add("model-path", config.subject.model_path,
              {.help = "folder of the Phi-3 model in Hugging Face format", .value = "DIR", .required = true});
  options.add("adapter", config.subject.adapter,
              {.help = "folder of an adapter; the bare model is measured beside it", .value = "DIR"});
  options.add("data", config.dataset.files,
              {.help = "JSONL files; decision and math without them: generated questions that no training saw",
               .value = "FILE"});
  options.add("task", config.task,
              {.help = "what to measure: loss and perplexity over target tokens; the four classes, by answer and by "
                       "likelihood; right numbers in arithmetic and geometry (records, or GSM8K's question and answer)",
               .choices = {"loss", "decision", "math"}});
  options.add("general-data", config.general_data,
              {.help = "JSONL files of general text: with --adapter, is the base's language kept", .value = "FILE"});
  options.add("ablate", config.ablate,
              {.help = "with --adapter: the loss with each layer's gate shut in turn", .choices = {"none", "layers"}});
  declare_question_task_options(options, config.questions);
  options.add("answers-file", config.questions.answers_file,
              {.help = "decision, math: write each question's answer and what was read from it here, one JSON object a "
                       "line",
               .value = "FILE"});
  data::declare_dataset_options(options, config.dataset);
  options.add("precision", config.subject.precision,
              {.help = "of the model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("device", config.subject.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("base", config.subject.base, {.help = models::kBaseHelp, .choices = models::base_format_names()});
  options.add("json", config.json, {.help = "print JSON"});
}

std::vector<std::string> wrong_combinations(const EvalConfig& config) {
  std::vector<std::string> complaints;
  if (config.task == "loss" && config.dataset.files.empty()) {
    complaints.push_back("--data is required for --task loss; give one or more JSONL files");
  }
  if (config.task != "loss" && (config.ablate != "none" || !config.general_data.empty())) {
    complaints.push_back(
        fmt::format("--task {}: --ablate and --general-data measure loss; use --task loss", config.task));
  }
  if (config.task == "loss" && !config.questions.answers_file.empty())
    complaints.push_back("--answers-file is of the tasks decision and math; --task loss has no answers");
  if (config.ablate == "layers" && config.subject.adapter.empty()) {
    complaints.push_back(fmt::format(
        "--ablate {}: it shuts the gates of an adapter, and there is none; give --adapter DIR", config.ablate));
  }
  return complaints;
}

EvalTask prepare(const EvalConfig& config, const EvalInputs& inputs) {
  QuestionTaskOptions asked = config.questions;
  asked.files = config.dataset.files;
  asked.max_bad_records = config.dataset.max_bad_records;
  if (config.task == "decision") return prepare_decision_task(asked, inputs);
  if (config.task == "math") return prepare_math_task(asked, inputs);
  return prepare_loss_task(
      {.dataset = config.dataset, .general_data = config.general_data, .ablate_layers = config.ablate == "layers"},
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
                  .summary = "what an adapter gains and loses: token loss, right decisions and numbers"};
  command.description =
      "loss: mean in nats over the target tokens of the data, and its exponential, with 95 % intervals (bootstrap over "
      "samples). With --adapter the bare model is measured on the same tokens: the change is paired by sample, KL is "
      "how far the adapter moved the predictions.\n"
      "decision, math: questions answered greedily, many at a time, and read by a parser; what it can't read is wrong. "
      "With --adapter the bare model answers the same questions (McNemar's test). Intervals: Wilson.";
  declare_options(*command.options, *config);
  command.options->add_check([config] { return wrong_combinations(*config); });
  command.computes = true;
  command.run = [config] { return run_eval(*config); };
  return command;
}

}  // namespace nkat::validation
