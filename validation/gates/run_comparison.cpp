#include "validation/gates/run_comparison.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

std::string layer_numbers(const GateResults& gates) {
  if (gates.layers.empty()) return "no layers";
  return fmt::format("layers {} to {}", gates.layers.front().layer, gates.layers.back().layer);
}

void require_same_layers(const GateResults& main, const std::string& main_name, const BaselineRun& other) {
  if (std::ranges::equal(main.layers, other.gates.layers, {}, &GateFinding::layer, &GateFinding::layer)) return;
  throw ShapeError(fmt::format(
      "runs are compared layer by layer and must have the same layers: {} has {}, {} has {}; leave one of them out",
      main_name, layer_numbers(main), other.name, layer_numbers(other.gates)));
}

// Position 0 is the sum.
const GateFinding& finding(const GateResults& gates, std::size_t position) {
  return position == 0 ? gates.sum : gates.layers[position - 1];
}

struct Replica {
  std::string name;
  const GateResults* gates;
};

std::string replica_name(const std::string& name, const std::optional<std::int64_t>& seed) {
  return seed ? fmt::format("{}, seed {}", name, *seed) : name;
}

TauSpread spread(const std::vector<Replica>& runs, std::size_t position) {
  TauSpread spread;
  spread.layer = finding(*runs.front().gates, position).layer;
  std::vector<double> known;
  for (const Replica& run : runs) {
    const GateFinding& found = finding(*run.gates, position);
    const bool transition = found.verdict == Verdict::kTransition;
    spread.tau.push_back(transition ? found.tau : std::nullopt);
    spread.transitions += transition ? 1 : 0;
    if (spread.tau.back()) known.push_back(static_cast<double>(*spread.tau.back()));
  }
  if (known.empty()) return spread;
  const auto [least, most] = std::ranges::minmax(known);
  spread.range = most - least;
  spread.median = median(std::move(known));
  return spread;
}

enum class Presence { kPresent, kAbsent, kNotDecided };

bool shows_effect(const GateFinding& found, bool by_rise) {
  return by_rise ? found.tau.has_value() : found.verdict == Verdict::kTransition;
}

std::int64_t last_step(const GateResults& gates) { return gates.steps.empty() ? 0 : gates.steps.back(); }

// here: a finding with the effect, which the control is asked about.
Presence presence(const GateFinding& here, const GateFinding& there, const GateResults& control, bool by_rise) {
  if (there.verdict == Verdict::kUnresolved) return Presence::kNotDecided;
  if (shows_effect(there, by_rise)) return Presence::kPresent;
  const std::optional<std::int64_t> seen_at = by_rise ? here.tau : here.opened_at;
  const bool reaches_it = !seen_at || last_step(control) >= *seen_at;
  return control.finished.value_or(true) && reaches_it ? Presence::kAbsent : Presence::kNotDecided;
}

ControlResult against_control(const GateResults& main, const BaselineRun& control) {
  ControlResult result{.name = control.name,
                       .control = control.control,
                       .by_rise = control.control == Control::kFrozenGates,
                       .last_step = last_step(control.gates),
                       .finished = control.gates.finished.value_or(true)};
  for (std::size_t position = 0; position <= main.layers.size(); ++position) {
    const GateFinding& here = finding(main, position);
    const GateFinding& there = finding(control.gates, position);
    if (there.verdict == Verdict::kUnresolved) result.unresolved.push_back(here.layer);
    if (!shows_effect(here, result.by_rise)) {
      if (shows_effect(there, result.by_rise)) result.only_there.push_back(here.layer);
      continue;
    }
    switch (presence(here, there, control.gates, result.by_rise)) {
      case Presence::kPresent: result.in_both.push_back(here.layer); break;
      case Presence::kAbsent: result.only_here.push_back(here.layer); break;
      case Presence::kNotDecided: result.not_decided.push_back(here.layer); break;
    }
  }
  return result;
}

// A transition that one control has is not specific, whatever the others leave open.
void mark_specific(GateResults& main, const std::vector<ControlResult>& controls) {
  for (std::size_t position = 0; position <= main.layers.size(); ++position) {
    GateFinding& found = position == 0 ? main.sum : main.layers[position - 1];
    if (found.verdict != Verdict::kTransition) continue;
    bool asked = false, present = false, open = false;
    for (const ControlResult& control : controls) {
      if (control.control != Control::kIdentity) continue;
      asked = true;
      present = present || std::ranges::count(control.in_both, found.layer) > 0;
      open = open || std::ranges::count(control.not_decided, found.layer) > 0;
    }
    if (present || (asked && !open)) found.specific = !present;
  }
}

}  // namespace

RunComparison compare_runs(GateResults& main, const RunRecords& main_run, std::vector<BaselineRun> others) {
  RunComparison comparison;
  std::vector<Replica> replicas;
  comparison.spread_includes_main = main_run.settings.control == Control::kNone;
  if (comparison.spread_includes_main) replicas.push_back({replica_name(main_run.name, main_run.settings.seed), &main});
  for (const BaselineRun& other : others) {
    require_same_layers(main, main_run.name, other);
    if (other.control == Control::kNone)
      replicas.push_back({replica_name(other.name, other.seed), &other.gates});
    else
      comparison.controls.push_back(against_control(main, other));
  }
  if (comparison.spread_includes_main) mark_specific(main, comparison.controls);
  for (const Replica& replica : replicas) comparison.spread_runs.push_back(replica.name);
  for (std::size_t position = 0; !replicas.empty() && position <= main.layers.size(); ++position)
    comparison.spreads.push_back(spread(replicas, position));
  comparison.runs = std::move(others);
  return comparison;
}

}  // namespace nkat::validation
