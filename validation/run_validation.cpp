#include "validation/run_validation.h"

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/machine.h"
#include "core/message.h"
#include "models/device.h"
#include "validation/geometry/geometry.h"
#include "validation/run/baselines.h"
#include "validation/tasks/decision_task.h"
#include "validation/tasks/loss_task.h"
#include "validation/tasks/math_task.h"

namespace nkat::validation {
namespace {

std::vector<GeometryRow> geometry_with_progress(const RunRecords& run) {
  std::optional<ProgressBar> bar;
  if (stderr_is_terminal() && !run.checkpoints.empty()) bar.emplace("geometry", run.checkpoints.size());
  return measure_geometry(run, [&](std::int64_t done, std::int64_t) {
    if (bar) bar->update(static_cast<std::uint64_t>(done), "");
  });
}

std::vector<EvalTask> prepare_tasks(const ValidateConfig& config, const EvalInputs& inputs) {
  const bool held_out = !config.validation_data.empty();
  std::vector<EvalTask> tasks;
  data::DatasetOptions dataset = config.dataset;
  if (held_out) dataset.files = {config.validation_data};
  if (config.has_task(Task::kLoss) && (held_out || !config.general_data.empty())) {
    LossTaskOptions options{.dataset = dataset, .ablate_layers = config.ablate == Ablation::kLayers};
    if (!config.general_data.empty()) options.general_data = {config.general_data};
    tasks.push_back(prepare_loss_task(options, inputs));
  }
  QuestionTaskOptions asked = config.questions;
  asked.max_bad_records = dataset.max_bad_records;
  if (config.has_task(Task::kDecision) && held_out) {
    asked.files = {config.validation_data};
    if (auto task = prepare_decision_task_if_labeled(asked, inputs)) tasks.push_back(std::move(*task));
  }
  if (config.has_task(Task::kMath)) {
    asked.files.clear();
    if (!config.reasoning_data.empty()) asked.files = {config.reasoning_data};
    tasks.push_back(prepare_math_task(asked, inputs));
  }
  return tasks;
}

EvalResults evaluate_adapter(const ValidateConfig& config, const RunRecords& run) {
  if (config.model_path.empty()) return {};
  if (run.checkpoints.empty()) {
    throw DataError(
        fmt::format("{}: --model-path: {}", run.folder.string(),
                    expected("a checkpoint, whose adapter is evaluated", "none", "train with --checkpoint-every N")));
  }
  EvalInputs inputs = read_eval_inputs({.model_path = config.model_path,
                                        .adapter = run.checkpoints.back().path.string(),
                                        .device = config.device,
                                        .precision = config.precision,
                                        .base = config.base});
  const std::vector<EvalTask> tasks = prepare_tasks(config, inputs);
  const EvalModel model = open_eval_model(std::move(inputs));
  EvalResults results{.step = run.checkpoints.back().step, .precision = models::precision_name(model.decoder.dtype())};
  if (config.base != models::BaseFormat::kSafe)
    results.precision += " with --base " + name_of(config.base, models::kBaseFormatNames);
  for (const EvalTask& task : tasks) task(model, results);
  return results;
}

}  // namespace

Findings validate_run(const ValidateConfig& config) {
  GateOptions options = config.gates;
  options.seed = static_cast<std::uint64_t>(config.seed);
  Findings findings;
  findings.run = read_run(config.run);
  for (const std::string& message : findings.run.damaged) log::warning("passed over: " + message);
  findings.gates = analyze_gates(findings.run, options);
  if (!config.compare.empty())
    findings.comparison =
        compare_runs(findings.gates, findings.run, read_compared_runs(findings.run, config.compare, options));
  findings.geometry = geometry_with_progress(findings.run);
  findings.stability = analyze_stability(findings.run, config.thresholds.stability);
  findings.eval = evaluate_adapter(config, findings.run);
  findings.checks = make_checklist(findings, config.thresholds);
  return findings;
}

}  // namespace nkat::validation
