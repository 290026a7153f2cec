// The options of `nkat validate`.
#pragma once

#include <string>
#include <vector>

#include "data/datasets/dataset_options.h"
#include "models/device.h"
#include "validation/gates/gate_analysis.h"
#include "validation/report/checklist.h"
#include "validation/tasks/question_task_options.h"

namespace nkat::validation {

struct ValidateConfig {
  std::string run;  // run folder, its checkpoints/, or a folder with metrics.jsonl
  std::vector<std::string> compare;
  std::string require;  // a verdict, or "" for none
  GateOptions gates;
  std::int64_t seed = 0;  // of the bootstrap

  std::string output_report = "report.md";
  std::string plot_phase_transition;  // "": beside the report (run/output_paths.h)
  bool json = false;

  // What needs the model.
  std::string model_path;
  std::vector<Task> tasks = {Task::kLoss, Task::kDecision, Task::kMath};
  std::string validation_data;
  std::string general_data;
  std::string reasoning_data;
  QuestionTaskOptions questions;
  Ablation ablate = Ablation::kNone;
  std::string device = "auto";
  models::Precision precision = models::Precision::kAuto;
  models::BaseFormat base = models::BaseFormat::kSafe;
  data::DatasetOptions dataset;

  Thresholds thresholds;

  bool has_task(Task task) const;
};

void declare_options(OptionList& options, ValidateConfig& config);

// The flags that were given and change nothing: those of the questions and samples without --model-path, and of the questions
// without a task that asks any.
std::vector<std::string> ignored_flags(const ValidateConfig& config, const OptionList& options);

}  // namespace nkat::validation
