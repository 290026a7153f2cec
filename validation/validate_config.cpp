#include "validation/validate_config.h"

#include <algorithm>

#include "data/text/model_text.h"

namespace nkat::validation {
namespace {

std::vector<std::string> verdict_names() {
  std::vector<std::string> names;
  for (const Verdict verdict : kVerdicts) names.emplace_back(verdict_name(verdict));
  return names;
}

void declare_evaluation(OptionList& options, ValidateConfig& config) {
  options.add(
      "model-path", config.model_path,
      {.help = "the run's base model: evaluates the newest checkpoint's adapter", .metavar = data::kModelPathMetavar});
  options.add("tasks", config.tasks, kTaskNames, {.help = "evaluation tasks"});
  options.add("validation-data", config.validation_data,
              {.help = "JSONL file: held-out loss, and decisions where records have a label", .metavar = "FILE"});
  options.add("general-data", config.general_data,
              {.help = "JSONL file of general text: the loss there before and after", .metavar = "FILE"});
  options.add(
      "reasoning-data", config.reasoning_data,
      {.help = "JSONL file of math problems (GSM8K's form, too); without it they are generated", .metavar = "FILE"});
  options.add("ablate", config.ablate, kAblationNames, {.help = "held-out loss with each layer's gate closed in turn"});
  declare_question_task_options(options, config.questions);
  data::declare_dataset_options(options, config.dataset);
  models::declare_device_options(options, config.device, config.precision, config.base);
}

// An option that would be ignored is a mistake.
std::vector<std::string> wrong_combinations(const ValidateConfig& config, const OptionList& options) {
  struct Rule {
    bool given;
    const char* option;
    bool holds;
    const char* needs;
  };
  constexpr const char* kModel = "--model-path, the base model of the run";
  const bool model = !config.model_path.empty(), held_out = !config.validation_data.empty();
  const bool tasks_given = options.given("tasks");
  const bool loss = config.has_task(Task::kLoss), decision = config.has_task(Task::kDecision),
             math = config.has_task(Task::kMath);
  const Rule rules[] = {
      {tasks_given, "tasks", model, kModel},
      {held_out, "validation-data", model, kModel},
      {!config.general_data.empty(), "general-data", model, kModel},
      {!config.reasoning_data.empty(), "reasoning-data", model, kModel},
      {options.given("precision"), "precision", model, kModel},
      {options.given("device"), "device", model, kModel},
      {options.given("base"), "base", model, kModel},
      {config.ablate == Ablation::kLayers, "ablate", held_out && loss, "--validation-data and the task loss"},
      {held_out && model, "validation-data", loss || decision, "one of the tasks loss and decision"},
      {!config.general_data.empty() && model, "general-data", loss, "the task loss"},
      {!config.reasoning_data.empty() && model, "reasoning-data", math, "the task math"},
      {tasks_given && decision && model, "tasks decision", held_out, "--validation-data with labels"},
      {tasks_given && loss && model, "tasks loss", held_out || !config.general_data.empty(),
       "--validation-data or --general-data"},
  };
  std::vector<std::string> errors;
  for (const Rule& rule : rules) {
    if (rule.given && !rule.holds) errors.push_back(fmt::format("--{} needs {}", rule.option, rule.needs));
  }
  return errors;
}

}  // namespace

bool ValidateConfig::has_task(Task task) const { return std::ranges::find(tasks, task) != tasks.end(); }

std::vector<std::string> ignored_flags(const ValidateConfig& config, const OptionList& options) {
  ValidateConfig unused;
  OptionList of_samples, of_questions;
  data::declare_dataset_options(of_samples, unused.dataset);
  declare_question_task_options(of_questions, unused.questions);
  const bool model = !config.model_path.empty();
  const bool asks = model && (config.has_task(Task::kDecision) || config.has_task(Task::kMath));
  std::vector<std::string> flags;
  for (const auto& [list, is_used] : {std::pair{&of_samples, model}, std::pair{&of_questions, asks}}) {
    for (const OptionList::Option& option : list->options()) {
      if (!is_used && options.given(option.name)) flags.push_back("--" + option.name);
    }
  }
  return flags;
}

void declare_options(OptionList& options, ValidateConfig& config) {
  options.add(
      "checkpoint-dir", config.run,
      {.help = "run folder, its checkpoints/, or a folder with metrics.jsonl", .metavar = "DIR", .required = true});
  options.add("compare", config.compare, {.help = "run folders of other seeds and controls", .metavar = "RUN"});
  options.add("require", config.require,
              {.help = "exit with 5 unless the run's verdict is this one", .choices = verdict_names()});
  options.add("output-report", config.output_report,
              {.help = "report file: .md, .html (self-contained) or .json", .metavar = "FILE"});
  options.add("plot-phase-transition", config.plot_phase_transition,
              {.help = "plot of the transition; default: REPORT-transition.png beside the report", .metavar = "FILE"});
  options.add("json", config.json, {.help = "print the JSON report instead of the checklist"});
  options.add("minimum-rise", config.gates.minimum_rise,
              {.help = "smallest rise of the force that counts, as a fraction of its largest level",
               .minimum = 0,
               .maximum = 2});
  options.add("replicates", config.gates.replicates,
              {.help = "bootstrap replicates for the intervals of tau", .minimum = 20, .maximum = 100000});
  options.add("seed", config.seed, {.help = "random seed of the bootstrap", .minimum = 0});
  declare_evaluation(options, config);
  declare_thresholds(options, config.thresholds);
  options.add_check([&config, &options] { return wrong_combinations(config, options); });
}

}  // namespace nkat::validation
