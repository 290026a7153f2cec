#include <iostream>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/files/atomic_file.h"
#include "data/commands.h"
#include "data/synthetic/generator.h"

namespace nkat::data {
namespace {

enum class TaskChoice { kDecision, kMath, kBoth, kGeneral, kSmallTalk };
constexpr EnumNames<TaskChoice, 5> kTaskNames = {{{TaskChoice::kDecision, "decision"},
                                                  {TaskChoice::kMath, "math"},
                                                  {TaskChoice::kBoth, "both"},
                                                  {TaskChoice::kGeneral, "general"},
                                                  {TaskChoice::kSmallTalk, "small-talk"}}};

enum class LanguageChoice { kEnglish, kJapanese, kBoth };
constexpr EnumNames<LanguageChoice, 3> kLanguageNames = {
    {{LanguageChoice::kEnglish, "en"}, {LanguageChoice::kJapanese, "ja"}, {LanguageChoice::kBoth, "both"}}};

constexpr EnumNames<Split, 3> kSplitNames = {
    {{Split::kTrain, "train"}, {Split::kValidation, "validation"}, {Split::kTest, "test"}}};

struct DataMakeConfig {
  TaskChoice task = TaskChoice::kBoth;
  LanguageChoice language = LanguageChoice::kBoth;
  std::int64_t count = 1000;
  std::int64_t seed = 0;
  Split split = Split::kTrain;
  std::string output = "-";
};

std::vector<GeneratedTask> tasks_of(TaskChoice choice) {
  switch (choice) {
    case TaskChoice::kDecision: return {GeneratedTask::kDecision};
    case TaskChoice::kMath: return {GeneratedTask::kMath};
    case TaskChoice::kGeneral: return {GeneratedTask::kGeneral};
    case TaskChoice::kSmallTalk: return {GeneratedTask::kSmallTalk};
    case TaskChoice::kBoth: break;
  }
  return {GeneratedTask::kDecision, GeneratedTask::kMath};
}

GeneratorOptions set_options(const DataMakeConfig& config) {
  GeneratorOptions options;
  options.tasks = tasks_of(config.task);
  options.languages = {Language::kEnglish, Language::kJapanese};
  if (config.language == LanguageChoice::kEnglish) options.languages = {Language::kEnglish};
  if (config.language == LanguageChoice::kJapanese) options.languages = {Language::kJapanese};
  options.count = config.count;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.split = config.split;
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
      "task", config->task, kTaskNames,
      {.help = "four-class decisions, arithmetic and geometry, or both alternately; general text and small talk are "
               "the demo model's pre-training data"});
  options.add("language", config->language, kLanguageNames, {.help = "English, Japanese, or both alternately"});
  options.add("count", config->count, {.help = "records to write", .minimum = 1, .maximum = 10'000'000});
  options.add("seed", config->seed, {.help = "random seed", .minimum = 0});
  options.add("split", config->split, kSplitNames, {.help = "split of the requests; splits share none"});
  options.add("output", config->output, {.help = "file to write, - = stdout", .metavar = "FILE"});
  command.run = [config] { return make(*config); };
  return command;
}

}  // namespace nkat::data
