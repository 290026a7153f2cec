#include "validation/report/report_document.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/cli/progress.h"
#include "validation/report/eval_text.h"
#include "validation/report/verdict_text.h"

namespace nkat::validation {
namespace {

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-"; }

std::string with_interval(const std::optional<double>& value, const std::optional<Interval>& interval) {
  if (!value) return "-";
  return interval ? fmt::format("{} ({} to {})", number(*value), number(interval->low), number(interval->high))
                  : number(*value);
}

std::string optional_step(const std::optional<std::int64_t>& step) { return step ? fmt::format("{}", *step) : "-"; }

std::string levels_text(const std::vector<ForceLevel>& levels) {
  std::string text;
  for (const ForceLevel& level : levels)
    text += fmt::format("{}{} from {}", text.empty() ? "" : ", ", number(level.force), level.from);
  return text;
}

std::vector<std::string> gate_row(const GateFinding& finding) {
  const std::string specific = finding.specific ? (*finding.specific ? "yes" : "no") : "-";
  const std::string shape = finding.shape ? (*finding.shape == RiseShape::kAbrupt ? "abrupt" : "gradual") : "-";
  return {finding.layer < 0 ? "sum" : fmt::format("{}", finding.layer),
          fmt::format("{}{}", verdict_name(finding.verdict), finding.reclosed ? ", reclosed" : ""),
          specific,
          shape,
          finding.tau ? step_text(*finding.tau, finding.tau_interval) : "-",
          finding.sign_change ? step_text(*finding.sign_change, finding.sign_change_interval) : "-",
          optional_step(finding.opened_at),
          fmt::format("{:.3f}, {:.3f}, {:.3f}", finding.gate_first, finding.gate_max, finding.gate_last),
          levels_text(finding.levels),
          finding.smallest_step_seen ? number(*finding.smallest_step_seen) : "-"};
}

void add_gates(Document& document, const Findings& findings) {
  const GateResults& gates = findings.gates;
  document.push_back(Heading{2, "Gates", /*folded=*/true});
  std::string crossings;
  for (std::size_t i = 0; i < kCrossingLevels.size(); ++i)
    crossings += fmt::format("{}{:g} at {}", i == 0 ? "" : ", ", kCrossingLevels[i],
                             gates.crossings[i] ? fmt::format("step {}", *gates.crossings[i]) : "no step");
  document.push_back(Paragraph{fmt::format(
      "The mean gate passes {}; it {}. A verdict rests on the force that the loss "
      "exerts on a gate, not on the gate's path, which under Adam looks like a transition whatever drives it.",
      crossings,
      gates.max_susceptibility_step ? fmt::format("grows fastest at step {}", *gates.max_susceptibility_step)
                                    : "never grows")});
  Table table{{"layer", "verdict", "specific", "shape", "tau, step", "sign change, step", "opened at",
               "gate: first, largest, last", "levels of the force", "smallest step seen"},
              {gate_row(gates.sum)}};
  for (const GateFinding& layer : gates.layers) table.rows.push_back(gate_row(layer));
  document.push_back(std::move(table));
}

std::string layer_list(const std::vector<std::int64_t>& layers) {
  std::string text;
  for (const std::int64_t layer : layers)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", layer < 0 ? "the sum" : fmt::format("layer {}", layer));
  return text;
}

std::string why_not_decided(const ControlResult& control) {
  std::string why = control.unresolved.empty() ? "" : "unresolved there: " + layer_list(control.unresolved);
  const bool all_unresolved = std::ranges::all_of(control.not_decided, [&](std::int64_t layer) {
    return std::ranges::find(control.unresolved, layer) != control.unresolved.end();
  });
  if (all_unresolved) return why;
  return fmt::format("{}{}the control {} step {}", why, why.empty() ? "" : "; ",
                     control.finished ? "ends at" : "is not finished, it is at", control.last_step);
}

// True whatever the control shows; "absent" only where nothing of the effect is there.
std::string control_sentence(const ControlResult& control) {
  const std::string effect = control.by_rise ? "rise of the force" : "transition";
  const auto also = [](const std::string& what, const std::vector<std::int64_t>& layers) {
    return layers.empty() ? "" : fmt::format("; {}: {}", what, layer_list(layers));
  };
  std::string text = fmt::format("Run {}, control {}{}: ", control.name, name_of(control.control, kControlNames),
                                 control.by_rise ? " (its gates can't open, so rises of the force are compared)" : "");
  const auto& [here, there] = std::pair(control.only_here, control.only_there);
  if (!control.in_both.empty()) {
    text += fmt::format("the effect is not absent, a {} in both runs: {}", effect, layer_list(control.in_both)) +
            also("here alone", here);
  } else if (!control.decided()) {
    text += fmt::format("whether the effect is absent is not decided for {} ({})", layer_list(control.not_decided),
                        why_not_decided(control)) +
            also(fmt::format("a {} here, none there", effect), here);
  } else if (here.empty()) {
    text += fmt::format("nothing to compare, this run shows no {}", effect);
  } else if (there.empty()) {
    text += fmt::format("the effect is absent: no {} there where this run has one ({})", effect, layer_list(here));
  } else {
    text += fmt::format("a {} here, none there: {}", effect, layer_list(here));
  }
  text += also(fmt::format("a {} there, none here", effect), there);
  if (control.decided()) text += also("unresolved there", control.unresolved);
  if (!control.in_both.empty() && !control.decided())
    text += also("not decided", control.not_decided) + " (" + why_not_decided(control) + ")";
  return text + ".";
}

void add_spread(Document& document, const RunComparison& comparison) {
  if (comparison.spread_runs.size() < 2) return;
  Table table{{"layer", "transitions"}, {}};
  for (const std::string& run : comparison.spread_runs) table.header.push_back("tau, " + run);
  table.header.insert(table.header.end(), {"median", "range"});
  for (const TauSpread& layer : comparison.spreads) {
    std::vector<std::string> row = {layer.layer < 0 ? "sum" : fmt::format("{}", layer.layer),
                                    fmt::format("{} of {}", layer.transitions, layer.tau.size())};
    for (const auto& tau : layer.tau) row.push_back(optional_step(tau));
    row.push_back(layer.transitions > 0 ? number(layer.median) : "-");
    row.push_back(layer.transitions > 0 ? number(layer.range) : "-");
    table.rows.push_back(std::move(row));
  }
  document.push_back(Paragraph{
      fmt::format("Spread of tau over the runs without a control, {}; \"-\": no transition in that run.",
                  comparison.spread_includes_main ? "this one first" : "which this one, a control, is not part of")});
  document.push_back(std::move(table));
}

void add_comparison(Document& document, const RunComparison& comparison) {
  document.push_back(Heading{2, "Other runs", /*folded=*/true});
  Table runs{{"run", "control", "seed", "finished", "verdict", "tau of the sum, step", "layers with a transition"}, {}};
  for (const BaselineRun& run : comparison.runs) {
    runs.rows.push_back({run.name, name_of(run.control, kControlNames), optional_step(run.seed),
                         !run.gates.finished   ? "-"
                         : *run.gates.finished ? "yes"
                                               : "no",
                         verdict_name(run.gates.sum.verdict),
                         run.gates.sum.tau ? step_text(*run.gates.sum.tau, run.gates.sum.tau_interval) : "-",
                         fmt::format("{} of {}", run.gates.count(Verdict::kTransition), run.gates.layers.size())});
  }
  document.push_back(std::move(runs));
  for (const ControlResult& control : comparison.controls) document.push_back(Paragraph{control_sentence(control)});
  add_spread(document, comparison);
}

// Of all layers, at most 20 checkpoints spread over the run.
Table geometry_over_time(const std::vector<GeometryRow>& rows) {
  constexpr std::size_t kMostRows = 20;
  struct OfStep {
    double orthogonality = 0.0, determinant = 0.0, angle = 0.0, norm = 0.0, triality = 0.0;
    int layers = 0;
  };
  std::map<std::int64_t, OfStep> steps;
  for (const GeometryRow& row : rows) {
    OfStep& of = steps[row.step];
    of.orthogonality = std::max(of.orthogonality, row.exact.orthogonality_max);
    of.determinant = std::max(of.determinant, row.exact.determinant_max);
    of.angle = std::max(of.angle, row.angle_max);
    of.norm = std::max(of.norm, row.norm_max);
    of.triality += row.exact.triality;
    ++of.layers;
  }
  Table table{{"step", "max ||R'R - I||", "max |det R - 1|", "largest angle, rad", "max ||A||", "mean triality"}, {}};
  const std::size_t stride = (steps.size() + kMostRows - 1) / kMostRows;
  std::size_t left = steps.size();
  for (const auto& [step, of] : steps) {
    if (--left % stride != 0) continue;
    table.rows.push_back({fmt::format("{}", step), number(of.orthogonality), number(of.determinant), number(of.angle),
                          number(of.norm), number(of.triality / of.layers)});
  }
  return table;
}

void add_geometry(Document& document, const std::vector<GeometryRow>& rows) {
  document.push_back(Heading{2, "Geometry", /*folded=*/true});
  if (rows.empty()) {
    document.push_back(Paragraph{"There are no checkpoints to measure."});
    return;
  }
  document.push_back(
      Paragraph{"Over the checkpoints, all layers together (every layer of each is in the JSON report):"});
  document.push_back(geometry_over_time(rows));
  document.push_back(Paragraph{
      fmt::format("By layer at the last checkpoint, step {}. The BF16 columns are of rotations rounded to BF16, a "
                  "diagnostic: nothing applies them.",
                  rows.back().step)});
  Table table{{"layer", "max ||R'R - I||", "max |det R - 1|", "largest angle, rad", "median angle, rad", "max ||A||",
               "triality", "BF16 max ||R'R - I||", "BF16 triality"},
              {}};
  for (const GeometryRow& row : rows) {
    if (row.step != rows.back().step) continue;
    table.rows.push_back({fmt::format("{}", row.layer), number(row.exact.orthogonality_max),
                          number(row.exact.determinant_max), number(row.angle_max), number(row.angle_median),
                          number(row.norm_max), number(row.exact.triality), number(row.bf16.orthogonality_max),
                          number(row.bf16.triality)});
  }
  document.push_back(std::move(table));
}

std::string list_of_spikes(const std::vector<Outlier>& spikes) {
  constexpr std::size_t kMost = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(spikes.size(), kMost); ++i)
    text += fmt::format("{}{} at step {} (z {:.1f})", i == 0 ? "" : ", ", spikes[i].what, spikes[i].step, spikes[i].z);
  return spikes.size() > kMost ? text + ", ..." : text;
}

void add_stability(Document& document, const StabilityResults& report) {
  document.push_back(Heading{2, "Stability", /*folded=*/true});
  Table table{{"what", "found"}, {}};
  const auto add = [&](const std::string& what, const std::string& found) { table.rows.push_back({what, found}); };
  add("training loss, first and over the last fifth",
      fmt::format("{}, {}", number(report.loss_first), number(report.loss_last)));
  add("spikes",
      report.spikes.empty() ? "none" : fmt::format("{}: {}", report.spikes.size(), list_of_spikes(report.spikes)));
  add("skipped steps", report.skipped.empty()
                           ? "none"
                           : fmt::format("{}, the first at {}: {}", report.skipped.size(), report.skipped.front().first,
                                         report.skipped.front().second));
  add("divergence", report.diverged_at ? fmt::format("from step {}", *report.diverged_at) : "none");
  if (report.convergence)
    add("slope over the last fifth, nats per step",
        with_interval(report.convergence->slope.value, report.convergence->slope.interval));
  if (report.overfitting) {
    const Overfitting& found = *report.overfitting;
    add("validation loss, lowest and last", fmt::format("{} at step {}, {}", number(found.validation_lowest),
                                                        found.lowest_step, number(found.validation_last)));
    add("trend of validation minus training loss, nats per step",
        found.gap_trend ? with_interval(found.gap_trend->value, found.gap_trend->interval) : "-");
    add("validation turns at", found.turn_step ? fmt::format("step {}", *found.turn_step) : "no step");
  }
  add("peak memory", format_bytes(static_cast<double>(report.peak_memory_bytes)));
  add("time of the steps so far; for all steps",
      fmt::format("{}; {}", format_duration(3600 * report.hours), format_duration(3600 * report.hours_planned)));
  for (const SpeedPhase& phase : report.phases)
    add(fmt::format("tokens per second, {} (steps {} to {})", phase.name, phase.from, phase.to),
        fmt::format("{:.0f}", phase.tokens_per_second));
  document.push_back(std::move(table));
}

std::string run_sentence(const Findings& findings) {
  std::string text =
      fmt::format("Run {}: {} steps{}, {} layers, {} checkpoints", findings.run.name, findings.run.metrics.size(),
                  findings.run.settings.max_steps ? fmt::format(" of {}", *findings.run.settings.max_steps) : "",
                  findings.run.layers(), findings.run.checkpoints.size());
  if (findings.run.settings.control != Control::kNone)
    text += fmt::format(", control {}", name_of(findings.run.settings.control, kControlNames));
  text += ".";
  for (const std::string& message : findings.run.damaged) text += " Passed over: " + message + ".";
  return text;
}

Table checklist_table(const std::vector<Check>& checks) {
  Table table{{"check", "value (95 % interval)", "threshold", "status", "what"}, {}};
  for (const Check& check : checks) {
    std::string what = check.note;
    if (!check.command.empty()) what += (what.empty() ? "" : "; ") + ("measured by: " + check.command);
    table.rows.push_back(
        {check.name, with_interval(check.value, check.interval), check.threshold, status_name(check.status), what});
  }
  return table;
}

void add_images(Document& document, const std::vector<Image>& images, const std::string& section) {
  for (const Image& image : images)
    if (image.section == section) document.push_back(image);
}

}  // namespace

Document make_report(const Findings& findings, const std::vector<Image>& plots) {
  Document document = {Heading{1, "Validation of " + findings.run.name}, Paragraph{verdict_sentences(findings)},
                       Paragraph{run_sentence(findings)}};
  add_images(document, plots, "");
  document.push_back(Heading{2, "Checklist"});
  document.push_back(checklist_table(findings.checks));
  document.push_back(Heading{2, "Plots"});
  add_images(document, plots, "Plots");
  add_gates(document, findings);
  add_images(document, plots, "Gates");
  if (findings.comparison) add_comparison(document, *findings.comparison);
  add_geometry(document, findings.geometry);
  add_eval_results(document, findings.eval);
  if (findings.stability) add_stability(document, *findings.stability);
  return document;
}

}  // namespace nkat::validation
