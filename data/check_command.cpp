// `nkat data check`: what data files hold and what training would make of them.
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/signals.h"
#include "data/commands.h"
#include "data/datasets/data_check.h"
#include "data/datasets/dataset_options.h"
#include "data/datasets/jsonl_pass.h"
#include "data/text/model_text.h"

namespace nkat::data {
namespace {

struct CheckConfig {
  std::vector<std::string> data;
  std::string model_path;
  DatasetOptions dataset;
  bool json = false;
};

ExitCode run(const CheckConfig& config) {
  install_stop_signals();
  const Tokenizer tokenizer(config.model_path);
  const ChatTemplate chat_template = open_chat_template(config.model_path);
  const SampleEncoder encoder(tokenizer, chat_template, config.dataset);
  DataChecker checker(tokenizer, encoder);
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  std::int64_t bad = 0;
  std::vector<std::string> without_target;
  std::string first_bad;  // of a file without a good record
  for (const std::string& path : config.data) {
    const DataCheck check = checker.check(path);
    bad += check.bad_records;
    if (check.target_tokens == 0) {
      without_target.push_back(path);
      if (first_bad.empty() && check.bad_records == check.records && !check.bad_messages.empty())
        first_bad = check.bad_messages.front();
    }
    if (config.json) {
      all.push_back(to_json(check));
    } else {
      std::cout << to_text(check) << std::flush;
    }
  }
  if (config.json) {
    std::cout << dump_json({{"template", chat_template.name()}, {"files", all}}, 2) << std::endl;
  }
  BadLimit(config.dataset.max_bad_records).check(bad, /*messages=*/{});
  if (!without_target.empty()) {
    throw DataError(
        fmt::format("{}: no record leaves a token to learn; {}", fmt::join(without_target, ", "),
                    first_bad.empty() ? "give it an assistant turn or plain text" : "the first: " + first_bad));
  }
  return ExitCode::kDone;
}

}  // namespace

Command make_data_check_command() {
  auto config = std::make_shared<CheckConfig>();
  Command command{
      .name = "check",
      .summary = "tokens, targets, lengths, duplicates and bad lines of data files, and one sample with its mask",
      .description = "Reads data files as training would, with the tokenizer and chat template of a model folder.",
      .positional = "data"};
  OptionList& options = *command.options;
  options.add("data", config->data,
              {.help = "data files: JSONL, a JSON list or CSV", .metavar = "FILE", .required = true});
  options.add("model-path", config->model_path,
              {.help = kModelPathHelp, .metavar = kModelPathMetavar, .required = true});
  declare_dataset_options(options, config->dataset);
  options.add("json", config->json, {.help = "print JSON"});
  command.run = [config] { return run(*config); };
  return command;
}

}  // namespace nkat::data
