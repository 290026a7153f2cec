#include "validation/eval_command.h"

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/machine.h"
#include "core/progress.h"
#include "core/signals.h"
#include "models/evaluation.h"
#include "models/out_of_memory.h"
#include "validation/tasks/subject.h"

namespace nkat::validation {
namespace {

struct EvalConfig {
  SubjectOptions subject;
  data::DatasetOptions dataset;
  std::string task = "loss";
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
  data::declare_dataset_options(options, config.dataset);
  options.add("precision", config.subject.precision,
              {.help = "of the model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("device", config.subject.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("json", config.json, {.help = "print JSON"});
}

models::LossReport measure(const char* what, const models::Decoder& decoder, const std::vector<at::Tensor>& blocks,
                           const data::Dataset& dataset) {
  std::optional<ProgressBar> bar;
  if (stderr_is_terminal()) bar.emplace(what, static_cast<std::uint64_t>(dataset.size()));
  return models::evaluate_loss(decoder, blocks, dataset, {.progress = [&](std::int64_t done, std::int64_t) {
                                 if (bar) bar->update(static_cast<std::uint64_t>(done), "");
                               }});
}

void print(const EvalConfig& config, const models::LossReport& report, const std::optional<models::LossReport>& base) {
  const double loss = report.mean();
  if (config.json) {
    nlohmann::ordered_json json = {{"tokens", report.target_tokens()}, {"loss", loss}, {"perplexity", std::exp(loss)}};
    if (base) json["base"] = {{"loss", base->mean()}, {"perplexity", std::exp(base->mean())}};
    std::cout << json.dump() << '\n';
    return;
  }
  std::cout << fmt::format("{} target tokens of {} samples\n", report.target_tokens(), report.samples.size());
  if (base)
    std::cout << fmt::format("  base          loss {:.4f} nats  perplexity {:.3f}\n", base->mean(),
                             std::exp(base->mean()));
  std::cout << fmt::format("  {}  loss {:.4f} nats  perplexity {:.3f}\n", base ? "with adapter" : "model       ", loss,
                           std::exp(loss));
}

ExitCode evaluate(const EvalConfig& config) {
  install_stop_signals();
  const Subject subject = open_subject(config.subject);
  data::DatasetOptions dataset_options = config.dataset;
  dataset_options.vocabulary_size = subject.config.vocab_size;
  const data::Dataset dataset(dataset_options, subject.text.tokenizer, subject.text.chat_template);
  std::optional<models::LossReport> base;
  if (subject.has_adapter()) base = measure("base", subject.decoder, {}, dataset);
  print(config, measure("eval", subject.decoder, subject.blocks, dataset), base);
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
  Command command{.name = "eval", .summary = "token loss and perplexity on a data file, with and without an adapter"};
  command.description =
      "Mean loss in nats over the target tokens of the data, and its exponential. With --adapter the bare model is "
      "measured on the same tokens.";
  declare_options(*command.options, *config);
  command.computes = true;
  command.run = [config] { return run_eval(*config); };
  return command;
}

}  // namespace nkat::validation
