#include <iostream>

#include "core/json.h"
#include "core/signals.h"
#include "data/commands.h"
#include "data/inspect/inspect_path.h"

namespace nkat::data {
namespace {

struct InspectConfig {
  std::string path;
  bool check_values = false;
  bool json = false;
};

ExitCode run(const InspectConfig& config) {
  install_stop_signals();
  const Inspection inspection = inspect(config.path, config.check_values ? Values::kFinite : Values::kAsTheyAre);
  std::cout << (config.json ? dump_json(to_json(inspection), 2) + "\n" : to_text(inspection));
  return ExitCode::kDone;
}

}  // namespace

Command make_inspect_command() {
  auto config = std::make_shared<InspectConfig>();
  Command command{.name = "inspect",
                  .summary = "prints what a GGUF, safetensors file, adapter or checkpoint holds, and checks it",
                  .description =
                      "Known are GGUF and safetensors files, tokenizer.model, and model, adapter and "
                      "checkpoint folders. What is damaged ends in exit code 3.",
                  .positional = "path"};
  OptionList& options = *command.options;
  options.add("path", config->path, {.help = "file or folder", .metavar = "PATH", .required = true});
  options.add("check-values", config->check_values, {.help = "read all numbers and refuse NaN and infinity"});
  options.add("json", config->json, {.help = "print JSON"});
  command.run = [config] { return run(*config); };
  return command;
}

}  // namespace nkat::data
