#include "tests/validation/gates/simulated_rates.h"

#include <algorithm>

#include "core/parallel.h"

namespace nkat::validation {
namespace {

bool is_called(const GateFinding& finding) {
  return finding.verdict == Verdict::kTransition || finding.verdict == Verdict::kInProgress;
}

struct RunFindings {
  std::vector<GateFinding> layers;
  GateFinding sum;
};

RunFindings analyze_run(const PlantedForce& planted, const SimulationPlan& plan, std::size_t run) {
  const auto layers = static_cast<std::size_t>(plan.layers);
  RunFindings found;
  GateSeries sum;
  for (std::size_t l = 0; l < layers; ++l) {
    GateSeries series = simulate(planted, plan.seed, run * layers + l);
    const auto steps = static_cast<std::size_t>(plan.steps);
    series.steps.resize(steps);
    series.gate.resize(steps);
    series.force.resize(steps);
    found.layers.push_back(
        analyze_series(series, layers, {.replicates = plan.replicates, .seed = plan.seed + run * layers + l}));
    if (l == 0)
      sum = {-1, series.steps, std::vector<double>(series.steps.size()), std::vector<double>(series.steps.size())};
    for (std::size_t t = 0; t < series.steps.size(); ++t) {
      sum.gate[t] += series.gate[t] / static_cast<double>(layers);
      sum.force[t] += series.force[t];
    }
  }
  found.sum = layers == 1 ? found.layers.front() : analyze_series(sum, layers, {.replicates = 0});
  return found;
}

void count(const GateFinding& finding, const std::optional<std::int64_t>& planted_tau, SimulatedRates& rates) {
  ++rates.series;
  ++rates.verdicts[finding.verdict];
  rates.sign_changes += finding.sign_change ? 1 : 0;
  rates.reclosed += finding.reclosed ? 1 : 0;
  rates.abrupt += finding.shape == RiseShape::kAbrupt ? 1 : 0;
  if (finding.tau) rates.tau.push_back(*finding.tau);
  if (!finding.tau_interval || !planted_tau) return;
  ++rates.intervals;
  const auto tau = static_cast<double>(*planted_tau);
  rates.covering += finding.tau_interval->low <= tau && tau <= finding.tau_interval->high ? 1 : 0;
}

}  // namespace

std::int64_t SimulatedRates::called() const { return verdict(Verdict::kTransition) + verdict(Verdict::kInProgress); }

std::int64_t SimulatedRates::verdict(Verdict verdict) const {
  const auto found = verdicts.find(verdict);
  return found == verdicts.end() ? 0 : found->second;
}

double SimulatedRates::share(std::int64_t count) const {
  return static_cast<double>(count) / static_cast<double>(series);
}

std::int64_t SimulatedRates::tau_quantile(double share) const {
  return tau.empty() ? -1 : tau[static_cast<std::size_t>(share * static_cast<double>(tau.size() - 1))];
}

double SimulatedRates::coverage() const {
  return intervals == 0 ? 0.0 : static_cast<double>(covering) / static_cast<double>(intervals);
}

SimulatedRates measure(const PlantedForce& planted, const SimulationPlan& plan) {
  std::vector<RunFindings> runs(static_cast<std::size_t>(plan.runs));
  parallel_for(runs.size(), [&](std::size_t run) { runs[run] = analyze_run(planted, plan, run); });
  SimulatedRates rates;
  rates.runs = plan.runs;
  for (const RunFindings& run : runs) {
    for (const GateFinding& layer : run.layers) count(layer, planted.tau, rates);
    rates.runs_called += std::ranges::any_of(run.layers, is_called) ? 1 : 0;
    rates.sums_called += is_called(run.sum) ? 1 : 0;
  }
  std::ranges::sort(rates.tau);
  return rates;
}

}  // namespace nkat::validation
