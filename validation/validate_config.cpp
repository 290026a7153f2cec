#include "validation/validate_config.h"

#include <algorithm>

#include "models/weights/weight_format.h"

namespace nkat::validation {
namespace {

void declare_gain_options(OptionList& options, ValidateConfig& config) {
  options.add(
      "model-path", config.model_path,
      {.help = "base model of the run: measures gain and loss with the newest checkpoint's adapter", .value = "DIR"});
  options.add("tasks", config.tasks, {.help = "what to measure with the model: loss, decision, math", .value = "TASK"});
  options.add("validation-data", config.validation_data,
              {.help = "JSONL file: held-out loss, and decisions where records have a label", .value = "FILE"});
  options.add("general-data", config.general_data,
              {.help = "JSONL file of general text: is the base's language kept?", .value = "FILE"});
  options.add("reasoning-data", config.reasoning_data,
              {.help = "JSONL file of problems (GSM8K's form, too); without it they are generated", .value = "FILE"});
  options.add("ablate", config.ablate,
              {.help = "held-out loss with each layer's gate shut in turn", .choices = {"none", "layers"}});
  declare_question_task_options(options, config.questions);
  data::declare_dataset_options(options, config.dataset);
  options.add("precision", config.precision,
              {.help = "of the model's arithmetic", .choices = {"auto", "bf16", "fp32"}});
  options.add("device", config.device, {.help = "auto, cpu or cuda:N", .value = "DEVICE"});
  options.add("base", config.base, {.help = models::kBaseHelp, .choices = models::base_format_names()});
}

// An option that would be ignored is a mistake.
void check_gain_options(const ValidateConfig& config, const OptionList& options, std::vector<std::string>& complaints) {
  struct Rule {
    bool given;
    const char* option;
    bool holds;
    const char* needs;
  };
  const bool model = !config.model_path.empty(), held_out = !config.validation_data.empty();
  const bool tasks_given = options.given("tasks");
  const bool loss = config.has_task("loss"), decision = config.has_task("decision"), math = config.has_task("math");
  for (const Rule& rule : {
           Rule{tasks_given, "tasks", model, "--model-path, the base model of the run"},
           Rule{held_out, "validation-data", model, "--model-path, the base model of the run"},
           Rule{!config.general_data.empty(), "general-data", model, "--model-path, the base model of the run"},
           Rule{!config.reasoning_data.empty(), "reasoning-data", model, "--model-path, the base model of the run"},
           Rule{options.given("precision"), "precision", model, "--model-path, the base model of the run"},
           Rule{options.given("device"), "device", model, "--model-path, the base model of the run"},
           Rule{options.given("base"), "base", model, "--model-path, the base model of the run"},
           Rule{config.ablate == "layers", "ablate", held_out && loss, "--validation-data and the task loss"},
           Rule{held_out && model, "validation-data", loss || decision, "one of the tasks loss and decision"},
           Rule{!config.general_data.empty() && model, "general-data", loss, "the task loss"},
           Rule{!config.reasoning_data.empty() && model, "reasoning-data", math, "the task math"},
           Rule{tasks_given && decision && model, "tasks decision", held_out, "--validation-data with labels"},
           Rule{tasks_given && loss && model, "tasks loss", held_out || !config.general_data.empty(),
                "--validation-data or --general-data"},
       }) {
    if (rule.given && !rule.holds) complaints.push_back(fmt::format("--{} needs {}", rule.option, rule.needs));
  }
}

std::vector<std::string> wrong_combinations(const ValidateConfig& config, const OptionList& options) {
  std::vector<std::string> complaints;
  if (!config.require.empty() &&
      std::ranges::none_of(kVerdicts, [&](Verdict v) { return verdict_name(v) == config.require; })) {
    complaints.push_back(fmt::format(
        "--require: transition, in progress, drift, closed or unresolved was expected, found '{}'", config.require));
  }
  for (const std::string& task : config.tasks) {
    if (task != "loss" && task != "decision" && task != "math")
      complaints.push_back(fmt::format("--tasks: loss, decision or math was expected, found '{}'", task));
  }
  check_gain_options(config, options, complaints);
  return complaints;
}

}  // namespace

bool ValidateConfig::has_task(const std::string& task) const { return std::ranges::find(tasks, task) != tasks.end(); }

void declare_options(OptionList& options, ValidateConfig& config) {
  options.add(
      "checkpoint-dir", config.run,
      {.help = "a run's folder, its checkpoints/, or a folder with metrics.jsonl", .value = "DIR", .required = true});
  options.add("compare", config.compare, {.help = "folders of other runs: seeds and controls", .value = "RUN"});
  options.add("require", config.require,
              {.help = "exit with 5 unless the run's verdict is this one", .value = "VERDICT"});
  options.add("output-report", config.output_report,
              {.help = "report to write: .md, .html (self-contained) or .json", .value = "FILE"});
  options.add("plot-phase-transition", config.plot_phase_transition,
              {.help = "plot of the transition; default: REPORT-transition.png beside the report", .value = "FILE"});
  options.add("json", config.json, {.help = "print the JSON report instead of the checklist"});
  options.add("minimum-rise", config.gates.minimum_rise,
              {.help = "rise of the force that counts, as a share of its largest level", .minimum = 0, .maximum = 2});
  options.add("replicates", config.gates.replicates,
              {.help = "of the bootstrap for the intervals of tau", .value = "N", .minimum = 20, .maximum = 100000});
  options.add("seed", config.seed, {.help = "of the bootstrap", .value = "N", .minimum = 0});
  declare_gain_options(options, config);
  declare_thresholds(options, config.thresholds);
  options.add_check([&config, &options] { return wrong_combinations(config, options); });
}

}  // namespace nkat::validation
