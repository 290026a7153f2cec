#include "validation/validate_config.h"

#include <algorithm>

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
}

std::vector<std::string> wrong_combinations(const ValidateConfig& config) {
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
  if (config.model_path.empty()) {
    for (const auto& [name, value] :
         {std::pair{"validation-data", &config.validation_data}, std::pair{"general-data", &config.general_data},
          std::pair{"reasoning-data", &config.reasoning_data}})
      if (!value->empty())
        complaints.push_back(fmt::format("--{} needs --model-path, the base model of the run", name));
  }
  if (config.ablate == "layers" && config.validation_data.empty())
    complaints.emplace_back("--ablate needs --validation-data, whose loss it measures");
  return complaints;
}

}  // namespace

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
              {.help = "plot of the order parameter; the others go to a folder beside the report", .value = "FILE"});
  options.add("json", config.json, {.help = "print the JSON report instead of the checklist"});
  options.add("minimum-rise", config.gates.minimum_rise,
              {.help = "rise of the force that counts, as a share of its largest level", .minimum = 0, .maximum = 2});
  options.add("replicates", config.gates.replicates,
              {.help = "of the bootstrap for the intervals of tau", .value = "N", .minimum = 20, .maximum = 100000});
  options.add("seed", config.seed, {.help = "of the bootstrap", .value = "N", .minimum = 0});
  declare_gain_options(options, config);
  declare_thresholds(options, config.thresholds);
  options.add_check([&config] { return wrong_combinations(config); });
}

}  // namespace nkat::validation
