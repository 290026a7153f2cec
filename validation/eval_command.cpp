#include "validation/eval_command.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/signals.h"
#include "models/out_of_memory.h"
#include "validation/tasks/gain_text.h"
#include "validation/tasks/loss_task.h"

namespace nkat::validation {
namespace {

struct EvalConfig {
  SubjectOptions subject;
  data::DatasetOptions dataset;
  std::vector<std::string> general_data;
  std::string task = "loss";
  std::string ablate = "none";
  bool json = false;
};

void declare_options(OptionList& options, EvalConfig& config) {
  options.add("model-path", config.subject.model_path,
              {.help = "folder of the Phi-3 model in Hugging Face format", .value = "DIR", .required = true});
  options.add("adapter", config.subject.adapter,
              {.help = "folder of an adapter; the bare model is measured beside it", .value = "DIR"});
  options.add("data", config.dataset.files, {.help = "JSONL files", .value = "FILE", .required = true});
  options.add("task", config.task,
              {.help = "what to measure: loss and perplexity over target tokens", .choices = {"loss"}});
  options.add("general-data", config.general_data,
              {.help = "JSONL files of general text: with --adapter, is the base's language kept", .value = "FILE"});
  options.add("ablate", config.ablate,
              {.help = "with --adapter: the loss with each layer's gate shut in turn", .choices = {"none", "layers"}});
  data::declare_dataset_options(options, config.dataset);
  options.add("precision", config.subject.precision,
              {.help = "of the model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("device", config.subject.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("json", config.json, {.help = "print JSON"});
}

std::vector<std::string> wrong_combinations(const EvalConfig& config) {
  std::vector<std::string> complaints;
  if (config.ablate == "layers" && config.subject.adapter.empty()) {
    complaints.push_back(fmt::format(
        "--ablate {}: it shuts the gates of an adapter, and there is none; give --adapter DIR", config.ablate));
  }
  return complaints;
}

Measurement prepare(const EvalConfig& config, const SubjectText& text) {
  return prepare_loss_task(
      {.dataset = config.dataset, .general_data = config.general_data, .ablate_layers = config.ablate == "layers"},
      text);
}

ExitCode evaluate(const EvalConfig& config) {
  install_stop_signals();
  SubjectText text = open_subject_text(config.subject);
  const Measurement measure = prepare(config, text);
  GainReport report;
  measure(open_subject(std::move(text)), report);
  std::cout << (config.json ? to_json(report).dump() + '\n' : to_text(report));
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
  Command command{.name = "eval", .summary = "what an adapter gains and loses: token loss and perplexity"};
  command.description =
      "Mean loss in nats over the target tokens of the data, and its exponential, with 95 % intervals (bootstrap over "
      "samples). With --adapter the bare model is measured on the same tokens: the change is paired by sample, KL is "
      "how "
      "far the adapter moved the predictions.";
  declare_options(*command.options, *config);
  command.options->add_check([config] { return wrong_combinations(*config); });
  command.computes = true;
  command.run = [config] { return run_eval(*config); };
  return command;
}

}  // namespace nkat::validation
