#include "validation/gates/gate_analysis.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/signals.h"
#include "validation/gates/run_comparison.h"
#include "validation/gates/series_analysis.h"

namespace nkat::validation {
namespace {

// The sum over layers first, then the layers.
std::vector<GateSeries> gate_series(const RunRecords& run) {
  const auto layers = static_cast<std::size_t>(run.layers());
  const std::size_t lines = run.metrics.size();
  std::vector<GateSeries> all(layers + 1);
  for (std::size_t l = 0; l < all.size(); ++l) {
    all[l].layer = l == 0 ? -1 : run.first_layer + static_cast<std::int64_t>(l) - 1;
    all[l].gate.resize(lines, 0.0);
    all[l].force.resize(lines, 0.0);
    for (const data::StepMetrics& line : run.metrics) all[l].steps.push_back(line.step);
  }
  for (std::size_t t = 0; t < lines; ++t) {
    for (std::size_t l = 0; l < layers; ++l) {
      all[l + 1].gate[t] = gate_of(run.metrics[t].alpha.at(l));
      all[l + 1].force[t] = run.metrics[t].gate_force.at(l);
      all[0].gate[t] += all[l + 1].gate[t] / static_cast<double>(layers);
      all[0].force[t] += all[l + 1].force[t];
    }
  }
  return all;
}

std::optional<double> alpha_reach(const RunRecords& run) {
  if (run.settings.control == kFrozenGatesControl) return 0.0;
  if (run.series_only) return std::nullopt;
  double reach = 0.0;
  for (const data::StepMetrics& line : run.metrics)
    if (std::isfinite(line.alpha_learning_rate)) reach += line.alpha_learning_rate;
  return reach;
}

void describe_order_parameter(GateReport& report) {
  const std::vector<double>& m = report.order_parameter;
  for (std::size_t t = 0; t + 1 < m.size(); ++t) report.susceptibility.push_back(m[t + 1] - m[t]);
  for (std::size_t k = 0; k < kCrossingLevels.size(); ++k) {
    const auto passed = std::ranges::find_if(m, [&](double value) { return value >= kCrossingLevels[k]; });
    // A gate that starts above a level doesn't pass it.
    if (passed != m.end() && passed != m.begin())
      report.crossings[k] = report.steps[static_cast<std::size_t>(passed - m.begin())];
  }
  double largest = 0.0;
  for (std::size_t t = 0; t < report.susceptibility.size(); ++t) {
    if (!(report.susceptibility[t] > largest)) continue;
    largest = report.susceptibility[t];
    report.max_susceptibility_step = report.steps[t];
  }
}

}  // namespace

GateReport analyze_gates(const RunRecords& run, const GateOptions& options) {
  if (run.metrics.empty())
    throw DataError(
        fmt::format("{}: the gate analysis needs at least one line of metrics, found none; train the run "
                    "for a step first",
                    run.folder.string()));
  const std::vector<GateSeries> all = gate_series(run);
  GateReport report;
  report.finished = run.finished();
  report.steps = all.front().steps;
  report.order_parameter = all.front().gate;
  report.alpha_reach = alpha_reach(run);
  describe_order_parameter(report);

  std::vector<GateFinding> findings(all.size());
  parallel_for(all.size(), [&](std::size_t l) {
    throw_if_stop_requested();
    findings[l] = analyze_series(all[l], all.size() - 1, options);
  });
  report.sum = std::move(findings.front());
  report.layers.assign(std::make_move_iterator(findings.begin() + 1), std::make_move_iterator(findings.end()));
  return report;
}

}  // namespace nkat::validation
