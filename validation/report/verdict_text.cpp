#include "validation/report/verdict_text.h"

#include <algorithm>

#include "validation/gates/gate_analysis.h"

namespace nkat::validation {
namespace {

// What can be said about a force that has risen under gates that are not open.
std::string in_progress_sentence(const Findings& findings, const std::string& layers) {
  const GateFinding& sum = findings.gates.sum;
  const std::string rise = fmt::format("The force on the gates rose at step {}, but they have not opened ({})",
                                       step_text(*sum.tau, sum.tau_interval), layers);
  if (findings.run.settings.control == Control::kFrozenGates) return rise + "; this control keeps them shut.";
  if (!findings.gates.finished) return rise + ".";
  if (!*findings.gates.finished) return rise + "; the run is not finished.";
  if (!findings.gates.alpha_reach) return rise + "; the run is finished.";
  return rise + fmt::format("; the run is finished, and its rates let alpha move by {:.3g} at most.",
                            *findings.gates.alpha_reach);
}

// A transition that a control shows, too, is named at once.
std::string control_clause(const Findings& findings) {
  if (!findings.comparison) return "";
  std::string clause;
  for (const ControlResult& control : findings.comparison->controls) {
    const auto layers = std::ranges::count_if(control.in_both, [](std::int64_t layer) { return layer >= 0; });
    if (control.in_both.empty()) continue;
    clause += fmt::format("; the control {} shows it, too, in {} of these layers", control.name, layers);
  }
  return clause;
}

std::string blind_below(const GateFinding& sum) {
  return sum.smallest_step_seen
             ? fmt::format("; a step in the force below {:.2g} would not have been seen", *sum.smallest_step_seen)
             : "";
}

std::string gate_sentence(const Findings& findings) {
  const GateFinding& sum = findings.gates.sum;
  const std::string layers = fmt::format("{} of {} layers are a transition", findings.gates.count(Verdict::kTransition),
                                         findings.gates.layers.size());
  switch (sum.verdict) {
    case Verdict::kTransition:
      return fmt::format(
          "The gates went through a transition at step {}: they opened after the force on them had risen{} ({}{}).",
          step_text(*sum.tau, sum.tau_interval), sum.sign_change ? " from below zero" : "", layers,
          control_clause(findings));
    case Verdict::kInProgress: return in_progress_sentence(findings, layers);
    case Verdict::kDrift:
      return fmt::format(
          "The gates opened at step {} under a force that did not rise, which is drift and no transition ({}{}).",
          sum.opened_at.value_or(0), layers, blind_below(sum));
    case Verdict::kClosed:
      return fmt::format(
          "The gates stayed shut: their mean went from {:.4f} to {:.4f}, and no rise of the force was found ({}{}).",
          sum.gate_first, sum.gate_last, layers, blind_below(sum));
    case Verdict::kUnresolved: break;
  }
  if (sum.usable_steps < kFewestSteps) {
    return fmt::format("Nothing can be said about the gates yet: {} usable steps, at least {} are needed.",
                       sum.usable_steps, kFewestSteps);
  }
  return fmt::format(
      "Nothing can be said about the gates: from step to step the force stays off its running median with a "
      "correlation of {:.2f}, and above {} noise can't be told from a slow change; a longer run may do.",
      sum.lag_one_correlation, kUnresolvedCorrelation);
}

std::string failed_names(const std::vector<Check>& checks) {
  std::string names;
  for (const Check& check : checks)
    if (check.status == CheckStatus::kFail) names += (names.empty() ? "" : ", ") + check.name;
  return names;
}

}  // namespace

std::string step_text(std::int64_t step, const std::optional<Interval>& interval) {
  if (!interval) return fmt::format("{}", step);
  return fmt::format("{} (95 % interval {:.0f} to {:.0f})", step, interval->low, interval->high);
}

std::string verdict_sentences(const Findings& findings) {
  const auto count = [&](CheckStatus status) { return std::ranges::count(findings.checks, status, &Check::status); };
  const std::string failed = failed_names(findings.checks);
  return gate_sentence(findings) + fmt::format(" Of {} checks {} pass, {} fail{}, {} were not measured.",
                                               findings.checks.size(), count(CheckStatus::kPass),
                                               count(CheckStatus::kFail), failed.empty() ? "" : " (" + failed + ")",
                                               count(CheckStatus::kNotMeasured));
}

}  // namespace nkat::validation
