#include "validation/report/checklist.h"

#include <algorithm>
#include <cmath>

#include "core/cli/progress.h"
#include "core/message.h"
#include "data/run/run_config.h"
#include "validation/report/findings.h"

namespace nkat::validation {
namespace {

constexpr const char* kNoCheckpoints = "there are no checkpoints";
constexpr const char* kTrainWithCheckpoints = "nkat train --checkpoint-every N";

// The commands that would measure a missing item.
class Commands {
 public:
  explicit Commands(const Findings& findings) : run_(findings.run) {}

  std::string validate_with(const std::string& options) const {
    const std::string model = run_.settings.model_path.empty() ? "DIR" : shell_quoted(run_.settings.model_path);
    return fmt::format("nkat validate --checkpoint-dir {} --model-path {} {}", shell_quoted(run_.folder.string()),
                       model, options);
  }
  std::string train_on(const std::string& options) const {
    return fmt::format("nkat train --output-dir {} {} and the run's other options", shell_quoted(run_.folder.string()),
                       options);
  }

 private:
  const RunRecords& run_;
};

CheckStatus passed(bool holds) { return holds ? CheckStatus::kPass : CheckStatus::kFail; }

Check unmeasured(std::string name, std::string threshold, std::string note, std::string command) {
  return {.name = std::move(name),
          .threshold = std::move(threshold),
          .note = std::move(note),
          .command = std::move(command)};
}

Check alpha_starts(const Findings& findings, const Thresholds& thresholds) {
  const double wanted = findings.run.settings.alpha_init.value_or(data::kDefaultAlphaInit);
  // NaN counts as the farthest of all.
  const auto distance_of = [wanted](double alpha) { return std::isnan(alpha) ? INFINITY : std::abs(alpha - wanted); };
  const double worst = std::ranges::max(findings.run.metrics.front().alpha, {}, distance_of);
  return {.name = "alpha starts near its initial value",
          .value = worst,
          .threshold = fmt::format("within {} of {}", thresholds.alpha_start, wanted),
          .status = passed(distance_of(worst) <= thresholds.alpha_start),
          .note = "the layer farthest from it at the first step"};
}

Check gates_rise(const Findings& findings, const Thresholds& thresholds) {
  const auto opened =
      std::ranges::count_if(findings.gates.layers, [](const GateFinding& l) { return l.opened_at.has_value(); });
  const auto layers = static_cast<double>(findings.gates.layers.size());
  return {.name = "sigma(alpha) rises",
          .value = static_cast<double>(opened),
          .threshold = fmt::format(">= {:g} layers", std::ceil(thresholds.opened_layers * layers)),
          .status = passed(static_cast<double>(opened) >= thresholds.opened_layers * layers),
          .note = fmt::format("of {} layers opened: sigma 0.1 above its first value", layers)};
}

Check transition_timing(const Findings& findings, const Thresholds& thresholds, const Commands& commands) {
  const GateFinding& sum = findings.gates.sum;
  const auto first = static_cast<double>(findings.run.metrics.front().step);
  const auto last = static_cast<double>(findings.run.metrics.back().step);
  const double widest = thresholds.tau_width * (last - first + 1);
  const std::string name = "timing of the transition";
  const std::string threshold = fmt::format("interval inside the run, no wider than {:g} steps", widest);
  if (sum.verdict == Verdict::kUnresolved)
    return unmeasured(name, threshold, "the verdict is unresolved", commands.train_on("--max-steps N"));
  Check check{.name = name, .threshold = threshold, .status = CheckStatus::kFail};
  if (sum.verdict != Verdict::kTransition) {
    check.note = fmt::format("there is no transition: the verdict is {}", verdict_name(sum.verdict));
    return check;
  }
  check.value = static_cast<double>(*sum.tau);
  check.interval = sum.tau_interval;
  check.note = "step, of the sum over layers";
  if (!sum.tau_interval) {
    check.note +=
        fmt::format("; no interval: {:.0f} % of the replicates had no rise", 100 * sum.replicates_without_rise);
    return check;
  }
  const auto [low, high] = *sum.tau_interval;
  check.status = passed(low > first && high < last && high - low <= widest);
  return check;
}

bool significant(const PairedAccuracy& score, double significance) {
  return score.base && score.model.value() > score.base->value() && score.p.value_or(1.0) < significance;
}

// A base that never writes the form asked for scores 0, and learning the form alone would look like reasoning. So the
// gain must also hold when the last number of an answer counts, whatever its form.
Check reasoning_gain(const Findings& findings, const Thresholds& thresholds, const Commands& commands) {
  const std::string name = "reasoning gain";
  const std::string threshold = fmt::format("> 0 and McNemar's p < {}, in any form, too", thresholds.significance);
  if (!findings.eval.math || !findings.eval.math->scores.at("all").base)
    return unmeasured(name, threshold, "", commands.validate_with("--tasks math"));
  const PairedAccuracy& score = findings.eval.math->scores.at("all");
  const PairedAccuracy& any_form = findings.eval.math->any_form;
  return {
      .name = name,
      .value = score.model.value() - score.base->value(),
      .threshold = threshold,
      .status = passed(significant(score, thresholds.significance) && significant(any_form, thresholds.significance)),
      .note = fmt::format("{} of {} right, {} without the adapter, p = {:.2g}; in any form {} and {}, p = {:.2g}",
                          score.model.right, score.model.questions, score.base->right, score.p.value_or(1.0),
                          any_form.model.right, any_form.base ? any_form.base->right : 0, any_form.p.value_or(1.0))};
}

Check worst_geometry(const Findings& findings, const std::string& name, double limit, double RotationQuality::*what) {
  const std::string threshold = fmt::format("<= {:g}", limit);
  if (findings.geometry.empty()) return unmeasured(name, threshold, kNoCheckpoints, kTrainWithCheckpoints);
  const auto worst =
      std::ranges::max_element(findings.geometry, {}, [what](const GeometryRow& row) { return row.exact.*what; });
  return {.name = name,
          .value = worst->exact.*what,
          .threshold = threshold,
          .status = passed(worst->exact.*what <= limit),
          .note = fmt::format("largest of all checkpoints, at step {}, layer {}", worst->step, worst->layer)};
}

Check triality(const Findings& findings, const Thresholds& thresholds) {
  const std::string name = "triality", threshold = fmt::format("<= {:g}", thresholds.triality);
  if (findings.geometry.empty()) return unmeasured(name, threshold, kNoCheckpoints, kTrainWithCheckpoints);
  double sum = 0.0;
  int layers = 0;
  for (const GeometryRow& row : findings.geometry) {
    if (row.step != findings.geometry.back().step) continue;
    sum += row.exact.triality;
    ++layers;
  }
  return {.name = name,
          .value = sum / layers,
          .threshold = threshold,
          .status = passed(sum / layers <= thresholds.triality),
          .note = "triality loss, mean over layers at the last checkpoint; 0 for triples, 2 for unrelated rotations"};
}

// Memory and time count only for runs on a GPU.
Check gpu_check(const Findings& findings, Check check, double limit) {
  const std::string& device = findings.run.settings.device;
  if (!findings.stability || !device.starts_with("cuda")) {
    return unmeasured(check.name, check.threshold,
                      device.empty() ? "where the run was is not known" : "the run was not on a GPU",
                      "nkat train --device cuda:0, then nkat validate");
  }
  check.status = passed(*check.value <= limit);
  return check;
}

Check memory(const Findings& findings) {
  const double budget = findings.run.settings.vram_budget_gib.value_or(data::kDefaultVramBudgetGib);
  const std::uint64_t bytes = findings.stability ? findings.stability->peak_memory_bytes : 0;
  return gpu_check(findings,
                   {.name = "VRAM within the budget",
                    .value = static_cast<double>(bytes) / kGiB,
                    .threshold = fmt::format("<= {:g} GiB", budget),
                    .note = "GiB, largest peak of a step"},
                   budget);
}

Check hours(const Findings& findings, const Thresholds& thresholds) {
  const StabilityResults report = findings.stability.value_or(StabilityResults{});
  return gpu_check(findings,
                   {.name = "hours",
                    .value = report.hours_planned,
                    .threshold = fmt::format("<= {:g}", thresholds.hours),
                    .note = fmt::format("for all steps at the mean rate so far, without validation and checkpoints; "
                                        "{:.2f} h are done",
                                        report.hours)},
                   thresholds.hours);
}

Check convergence(const Findings& findings, double limit, const Commands& commands) {
  const std::string name = "loss converges";
  const std::string threshold = fmt::format("slope's interval holds 0, or change < {:g} %", 100 * limit);
  if (!findings.stability || !findings.stability->convergence)
    return unmeasured(name, threshold, findings.stability ? findings.stability->why_no_convergence : "",
                      commands.train_on("--max-steps N"));
  const Convergence& convergence = *findings.stability->convergence;
  return {.name = name,
          .value = convergence.slope.value,
          .interval = convergence.slope.interval,
          .threshold = threshold,
          .status = passed(convergence.converged),
          .note = fmt::format("nats per step over the last {} steps: {:.2g} % of the loss", convergence.steps,
                              100 * convergence.relative_change)};
}

Check final_loss(const Findings& findings, const Thresholds& thresholds, const Commands& commands) {
  const std::string name = "final loss", threshold = fmt::format("< {:g}", thresholds.final_loss);
  const auto last =
      std::find_if(findings.run.metrics.rbegin(), findings.run.metrics.rend(),
                   [](const data::StepMetrics& m) { return m.validation_loss && std::isfinite(*m.validation_loss); });
  if (last == findings.run.metrics.rend())
    return unmeasured(name, threshold, "the run measured no validation loss",
                      commands.train_on("--validation-data FILE"));
  Check check{.name = name,
              .value = *last->validation_loss,
              .threshold = threshold,
              .status = passed(*last->validation_loss < thresholds.final_loss),
              .note = fmt::format("validation loss after step {}, nats per target token", last->step)};
  // The same loss at the same step is the same data: then the interval over samples is known, too.
  constexpr double kSameLoss = 1e-4;
  const std::optional<LossFinding>& held_out = findings.eval.held_out;
  if (held_out && findings.eval.step == last->step && std::abs(held_out->loss.value / *check.value - 1) < kSameLoss)
    check.interval = held_out->loss.interval;
  return check;
}

Check overfitting(const Findings& findings, double limit, const Commands& commands) {
  const std::string name = "no overfitting", threshold = fmt::format("<= {:g} %", 100 * limit);
  if (!findings.stability || !findings.stability->overfitting)
    return unmeasured(name, threshold, "too few validation losses",
                      commands.train_on("--validation-data FILE --validate-every N"));
  const Overfitting& found = *findings.stability->overfitting;
  return {.name = name,
          .value = 100 * found.rise,
          .threshold = threshold,
          .status = passed(!found.overfitted),
          .note = fmt::format("% of the last validation loss above its lowest, {:.4f} at step {}",
                              found.validation_lowest, found.lowest_step)};
}

Check base_language(const Findings& findings, const Thresholds& thresholds, const Commands& commands) {
  const std::string name = "base language kept",
                    threshold = fmt::format("<= {:+g} nats", thresholds.general_loss_change);
  if (!findings.eval.general || !findings.eval.general->change)
    return unmeasured(name, threshold, "", commands.validate_with("--tasks loss --general-data FILE"));
  const Estimate& change = *findings.eval.general->change;
  return {.name = name,
          .value = change.value,
          .interval = change.interval,
          .threshold = threshold,
          .status = passed(change.value <= thresholds.general_loss_change),
          .note = "change of the loss on general text, nats per target token"};
}

}  // namespace

const char* status_name(CheckStatus status) {
  switch (status) {
    case CheckStatus::kPass: return "pass";
    case CheckStatus::kFail: return "fail";
    case CheckStatus::kNotMeasured: return "not measured";
  }
  return "";
}

void declare_thresholds(OptionList& options, Thresholds& t) {
  options.add("alpha-start-tolerance", t.alpha_start,
              {.help = "check: largest distance of alpha from its initial value at the first step", .minimum = 0});
  options.add("opened-layers", t.opened_layers,
              {.help = "check: fraction of the layers that must open", .minimum = 0, .maximum = 1});
  options.add("tau-width", t.tau_width,
              {.help = "check: largest width of tau's interval, as a fraction of the run", .minimum = 0, .maximum = 1});
  options.add("significance", t.significance,
              {.help = "check: McNemar's p below which a reasoning gain counts", .minimum = 0, .maximum = 1});
  options.add("rotation-error", t.rotation_error,
              {.help = "check: largest ||R^T R - I|| and |det R - 1|", .minimum = 0});
  options.add(
      "triality-limit", t.triality,
      {.help = "check: largest triality loss of the last checkpoint; unrelated rotations have 2", .minimum = 0});
  options.add("hours-limit", t.hours, {.help = "check: longest time for all steps", .unit = "h", .minimum = 0});
  options.add("final-loss", t.final_loss,
              {.help = "check: largest last validation loss", .unit = "nats", .minimum = 0});
  options.add("general-loss-change", t.general_loss_change,
              {.help = "check: largest rise of the loss on general text", .unit = "nats"});
  options.add(
      "overfitting-rise", t.stability.overfitting_rise,
      {.help = "check: largest rise of the last validation loss above its lowest, as a fraction", .minimum = 0});
  options.add("converged-change", t.stability.converged_change,
              {.help = "check: largest relative change of the loss over the last fifth of the run", .minimum = 0});
  options.add(
      "spike-z", t.stability.spike_z,
      {.help = "robust z-score from which a loss or gradient norm is a spike", .minimum = 0, .above_minimum = true});
}

std::vector<Check> make_checklist(const Findings& findings, const Thresholds& thresholds) {
  const Commands commands(findings);
  return {alpha_starts(findings, thresholds),
          gates_rise(findings, thresholds),
          transition_timing(findings, thresholds, commands),
          reasoning_gain(findings, thresholds, commands),
          worst_geometry(findings, "R^T R = I", thresholds.rotation_error, &RotationQuality::orthogonality_max),
          worst_geometry(findings, "det R = 1", thresholds.rotation_error, &RotationQuality::determinant_max),
          triality(findings, thresholds),
          memory(findings),
          hours(findings, thresholds),
          convergence(findings, thresholds.stability.converged_change, commands),
          final_loss(findings, thresholds, commands),
          overfitting(findings, thresholds.stability.overfitting_rise, commands),
          base_language(findings, thresholds, commands)};
}

}  // namespace nkat::validation
