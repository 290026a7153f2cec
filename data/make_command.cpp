#include <iostream>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/files/file.h"
#include "data/data_command.h"
#include "data/synthetic/generator.h"

namespace nkat::data {
namespace {

struct DataMakeConfig {
  std::string task = "both";
  std::string language = "both";
  std::int64_t count = 1000;
  std::int64_t seed = 0;
  std::string split = "train";
  std::string output = "-";
};

std::vector<GeneratedTask> tasks_of(const std::string& name) {
  if (name == "decision") return {GeneratedTask::kDecision};
  if (name == "math") return {GeneratedTask::kMath};
  if (name == "general") return {GeneratedTask::kGeneral};
  if (name == "small-talk") return {GeneratedTask::kSmallTalk};
  return {GeneratedTask::kDecision, GeneratedTask::kMath};
}

GeneratorOptions set_options(const DataMakeConfig& config) {
  GeneratorOptions options;
  options.tasks = tasks_of(config.task);
  options.languages = {Language::kEnglish, Language::kJapanese};
  if (config.language == "en") options.languages = {Language::kEnglish};
  if (config.language == "ja") options.languages = {Language::kJapanese};
  options.count = config.count;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.split = config.split == "train"        ? Split::kTrain
                  : config.split == "validation" ? Split::kValidation
                                                 : Split::kTest;
  return options;
}

ExitCode make(const DataMakeConfig& config) {
  std::string lines;
  generate_records(set_options(config), [&](const GeneratedRecord& record) { lines += to_line(record); });
  if (config.output == "-") {
    std::cout << lines;
    return ExitCode::kDone;
  }
  write_file_atomically(config.output, lines);
  log::info(fmt::format("{}: {} records, {} bytes", config.output, config.count, lines.size()));
  return ExitCode::kDone;
}

}  // namespace

Command make_data_make_command() {
  auto config = std::make_shared<DataMakeConfig>();
  Command command{.name = "make",
                  .summary = "writes a synthetic data set",
                  .description =
                      "Writes generated records, one JSON object per line. Equal options give equal bytes; the "
                      "splits share no request, whatever the seeds."};
  OptionList& options = *command.options;
  options.add(
      "task", config->task,
      {.help = "four-class decisions, arithmetic and geometry, or both in turn; general text and small talk are "
               "what the demo model was pre-trained on",
       .choices = {"decision", "math", "both", "general", "small-talk"}});
  options.add("language", config->language,
              {.help = "English, Japanese, or both in turn", .choices = {"en", "ja", "both"}});
  options.add("count", config->count, {.help = "records to write", .value = "N", .minimum = 1, .maximum = 10'000'000});
  options.add("seed", config->seed, {.help = "random seed", .value = "N", .minimum = 0});
  options.add("split", config->split, {.help = "which requests may occur", .choices = {"train", "validation", "test"}});
  options.add("output", config->output, {.help = "file to write; - is stdout", .value = "FILE"});
  command.run = [config] { return make(*config); };
  return command;
}

}  // namespace nkat::data
