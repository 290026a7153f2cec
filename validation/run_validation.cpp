#include "validation/run_validation.h"

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/machine.h"
#include "data/datasets/dataset.h"
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

bool holds_labels(const data::DatasetOptions& options, const EvalInputs& text) {
  data::DatasetOptions checked = options;
  checked.vocabulary_size = text.config.vocab_size;
  return !data::Dataset(checked, text.text.tokenizer, text.text.chat_template).summary().labels.empty();
}

std::vector<Measurement> prepare_tasks(const ValidateConfig& config, const EvalInputs& text) {
  const bool held_out = !config.validation_data.empty();
  std::vector<Measurement> measurements;
  data::DatasetOptions dataset = config.dataset;
  if (held_out) dataset.files = {config.validation_data};
  if (config.has_task(Task::kLoss) && (held_out || !config.general_data.empty())) {
    LossTaskOptions options{.dataset = dataset, .ablate_layers = config.ablate == Ablation::kLayers};
    if (!config.general_data.empty()) options.general_data = {config.general_data};
    measurements.push_back(prepare_loss_task(options, text));
  }
  QuestionTaskOptions asked = config.questions;
  asked.max_bad_records = dataset.max_bad_records;
  if (config.has_task(Task::kDecision) && held_out && holds_labels(dataset, text)) {
    asked.files = {config.validation_data};
    measurements.push_back(prepare_decision_task(asked, text));
  }
  if (config.has_task(Task::kMath)) {
    asked.files.clear();
    if (!config.reasoning_data.empty()) asked.files = {config.reasoning_data};
    measurements.push_back(prepare_math_task(asked, text));
  }
  return measurements;
}

EvalResults measure_gain(const ValidateConfig& config, const RunRecords& run) {
  if (config.model_path.empty()) return {};
  if (run.checkpoints.empty()) {
    throw DataError(fmt::format("{}: --model-path measures the newest checkpoint's adapter, but there is no checkpoint",
                                run.folder.string()));
  }
  EvalInputs text = open_subject_text({.model_path = config.model_path,
                                       .adapter = run.checkpoints.back().path.string(),
                                       .device = config.device,
                                       .precision = config.precision,
                                       .base = config.base});
  const std::vector<Measurement> measurements = prepare_tasks(config, text);
  const EvalModel subject = open_subject(std::move(text));
  EvalResults gain{.step = run.checkpoints.back().step, .precision = models::precision_name(subject.decoder.dtype())};
  if (config.base != models::BaseFormat::kSafe)
    gain.precision += " with --base " + name_of(config.base, models::kBaseFormatNames);
  for (const Measurement& measure : measurements) measure(subject, gain);
  return gain;
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
  findings.gain = measure_gain(config, findings.run);
  findings.checks = make_checklist(findings, config.thresholds);
  return findings;
}

}  // namespace nkat::validation
