// `nkat data samples`: the tokens of each record of a data file, as training and evaluation take them, for other
// programs.
#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/signals.h"
#include "data/commands.h"
#include "data/datasets/dataset.h"
#include "data/datasets/dataset_options.h"
#include "data/text/model_text.h"

namespace nkat::data {
namespace {

struct SamplesConfig {
  std::vector<std::string> data;
  std::string model_path;
  DatasetOptions dataset;
  std::int64_t count = 0;
};

nlohmann::ordered_json to_json(const SampleView& sample, const std::string& where) {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> targets;
  for (std::int64_t i = 0; i < sample.length(); ++i) {
    tokens.push_back(sample.token(i));
    if (sample.is_target(i)) targets.push_back(i);
  }
  return {{"at", where}, {"tokens", tokens}, {"targets", targets}};
}

ExitCode run(const SamplesConfig& config) {
  install_stop_signals();
  const Tokenizer tokenizer(config.model_path);
  const ChatTemplate chat_template = open_chat_template(config.model_path);
  DatasetOptions options = config.dataset;
  options.files = config.data;
  options.vocabulary_size = tokenizer.vocabulary_size();
  const Dataset dataset(options, tokenizer, chat_template);
  const std::int64_t count = config.count == 0 ? dataset.size() : std::min(config.count, dataset.size());
  for (std::int64_t i = 0; i < count; ++i) {
    throw_if_stop_requested();
    std::cout << dump_json(to_json(dataset.sample(i), dataset.describe(i))) << '\n';
  }
  return ExitCode::kDone;
}

}  // namespace

Command make_data_samples_command() {
  auto config = std::make_shared<SamplesConfig>();
  Command command{.name = "samples",
                  .summary = "prints the token ids of each record of data files and which of them are targets",
                  .description =
                      "One JSON object per line: at (file:line), tokens (ids), targets (positions in tokens, "
                      "from 0, that are predicted and count in a loss).",
                  .positional = "data"};
  OptionList& options = *command.options;
  options.add("data", config->data,
              {.help = "data files: JSONL, a JSON list or CSV", .metavar = "FILE", .required = true});
  options.add("model-path", config->model_path,
              {.help = kModelPathHelp, .metavar = kModelPathMetavar, .required = true});
  options.add("count", config->count, {.help = "samples to print at most, 0 = all", .minimum = 0});
  declare_dataset_options(options, config->dataset);
  command.run = [config] { return run(*config); };
  return command;
}

}  // namespace nkat::data
