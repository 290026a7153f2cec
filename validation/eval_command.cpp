#include "validation/eval_command.h"

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/machine.h"
#include "core/progress.h"
#include "core/signals.h"
#include "models/adapter_set.h"
#include "models/base_hash.h"
#include "models/evaluation.h"
#include "models/model_folder.h"
#include "models/runtime.h"

namespace nkat::validation {
namespace {

struct EvalConfig {
  std::string model_path;
  std::string adapter;
  data::DatasetOptions dataset;
  std::string task = "loss";
  std::string precision = "auto";
  std::string device = "auto";
  bool json = false;
};

void declare_options(OptionList& options, EvalConfig& config) {
  options.add("model-path", config.model_path,
              {.help = "folder of the Phi-3 model in Hugging Face format", .value = "DIR", .required = true});
  options.add("adapter", config.adapter,
              {.help = "folder of an adapter; the bare model is measured beside it", .value = "DIR"});
  options.add("data", config.dataset.files, {.help = "JSONL files", .value = "FILE", .required = true});
  options.add("task", config.task,
              {.help = "what to measure: loss and perplexity over target tokens", .choices = {"loss"}});
  data::declare_dataset_options(options, config.dataset);
  options.add("precision", config.precision,
              {.help = "of the model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("device", config.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("json", config.json, {.help = "print JSON"});
}

std::vector<at::Tensor> adapter_blocks(const EvalConfig& config, const models::Phi3Config& model, at::Device device) {
  const models::LoadedAdapter loaded = models::load_adapter(config.adapter, model);
  models::require_same_base(loaded, models::base_sha256(config.model_path), config.adapter);
  return loaded.adapter.blocks(loaded.adapter.rotations(), device);
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

ExitCode run_eval(const EvalConfig& config) {
  install_stop_signals();
  const models::Phi3Config model = models::read_phi3_config(config.model_path);
  const at::Device device = models::resolve_device(config.device);
  const at::ScalarType precision = models::resolve_precision(config.precision, device);
  const models::TextSide text = models::open_text_side(config.model_path, model);
  data::DatasetOptions dataset_options = config.dataset;
  dataset_options.vocabulary_size = model.vocab_size;
  const data::Dataset dataset(dataset_options, text.tokenizer, text.chat_template);
  const std::vector<at::Tensor> blocks =
      config.adapter.empty() ? std::vector<at::Tensor>() : adapter_blocks(config, model, device);
  const models::Decoder decoder = models::open_decoder(config.model_path, model, precision, device);
  std::optional<models::LossReport> base;
  if (!blocks.empty()) base = measure("base", decoder, {}, dataset);
  print(config, measure("eval", decoder, blocks, dataset), base);
  return ExitCode::kDone;
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
