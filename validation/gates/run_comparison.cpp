#include "validation/gates/run_comparison.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

constexpr const char* kNoControl = "none";
constexpr const char* kIdentity = "identity";

std::string layer_numbers(const GateReport& gates) {
  if (gates.layers.empty()) return "no layers";
  return fmt::format("layers {} to {}", gates.layers.front().layer, gates.layers.back().layer);
}

void require_same_layers(const GateReport& main, const std::string& main_name, const ComparedRun& other) {
  if (std::ranges::equal(main.layers, other.gates.layers, {}, &GateFinding::layer, &GateFinding::layer)) return;
  throw ShapeError(fmt::format(
      "runs are compared layer by layer and must have the same layers: {} has {}, {} has {}; leave one of them out",
      main_name, layer_numbers(main), other.name, layer_numbers(other.gates)));
}

// Position 0 is the sum.
const GateFinding& finding(const GateReport& gates, std::size_t position) {
  return position == 0 ? gates.sum : gates.layers[position - 1];
}

TauSpread spread(const std::vector<const GateReport*>& runs, std::size_t position) {
  TauSpread spread;
  spread.layer = finding(*runs.front(), position).layer;
  spread.runs = static_cast<std::int64_t>(runs.size());
  for (const GateReport* run : runs) {
    const GateFinding& found = finding(*run, position);
    if (found.tau) spread.tau.push_back(*found.tau);
    if (found.verdict == Verdict::kTransition) ++spread.transitions;
  }
  if (spread.tau.empty()) return spread;
  spread.median = median(std::vector<double>(spread.tau.begin(), spread.tau.end()));
  const auto [least, most] = std::ranges::minmax_element(spread.tau);
  spread.range = static_cast<double>(*most - *least);
  return spread;
}

RunComparison::ControlResult against_control(const GateReport& main, const ComparedRun& control) {
  RunComparison::ControlResult result{control.name,
                                      control.control,
                                      {},
                                      control.gates.count(Verdict::kTransition),
                                      control.gates.sum.verdict == Verdict::kTransition};
  for (std::size_t l = 0; l < main.layers.size(); ++l) {
    if (main.layers[l].verdict == Verdict::kTransition && control.gates.layers[l].verdict == Verdict::kTransition)
      result.transitions_in_both.push_back(main.layers[l].layer);
  }
  return result;
}

// With several identity controls a transition has to be absent in all of them.
void mark_specific(GateReport& main, const ComparedRun& control) {
  for (std::size_t position = 0; position <= main.layers.size(); ++position) {
    GateFinding& found = position == 0 ? main.sum : main.layers[position - 1];
    if (found.verdict != Verdict::kTransition) continue;
    found.specific = found.specific.value_or(true) && finding(control.gates, position).verdict != Verdict::kTransition;
  }
}

}  // namespace

RunComparison compare_runs(GateReport& main, const RunRecords& main_run, std::vector<ComparedRun> others) {
  RunComparison comparison;
  std::vector<const GateReport*> replicas;
  if (main_run.settings.control == kNoControl) replicas.push_back(&main);
  for (const ComparedRun& other : others) {
    require_same_layers(main, main_run.name, other);
    if (other.control == kNoControl) {
      replicas.push_back(&other.gates);
      continue;
    }
    comparison.controls.push_back(against_control(main, other));
    if (other.control == kIdentity) mark_specific(main, other);
  }
  for (std::size_t position = 0; !replicas.empty() && position <= main.layers.size(); ++position)
    comparison.spreads.push_back(spread(replicas, position));
  comparison.runs = std::move(others);
  return comparison;
}

}  // namespace nkat::validation
