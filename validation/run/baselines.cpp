#include "validation/run/baselines.h"

#include <cmath>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"

namespace nkat::validation {
namespace {

bool same_values(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

// By gates and forces: the rest of the metrics differs in time alone when a run is repeated.
bool same_series(const RunRecords& a, const RunRecords& b) {
  return std::ranges::equal(a.metrics, b.metrics, [](const data::StepMetrics& x, const data::StepMetrics& y) {
    return same_values(x.alpha, y.alpha) && same_values(x.gate_force, y.gate_force);
  });
}

void require_another(const RunRecords& run, const RunRecords& other, bool other_is_analyzed) {
  if (run.root != other.root) return;
  const char* found = other_is_analyzed ? "the analyzed one" : "one given before";
  throw ConfigError(
      fmt::format("--compare {}: {}", run.folder.string(),
                  expected("another run", fmt::format("{} ({})", found, other.folder.string()), "leave it out")));
}

void warn_of_equal(const RunRecords& run, const RunRecords& other) {
  if (!same_series(run, other)) return;
  const auto seed = [](const RunRecords& one) {
    return one.settings.seed ? fmt::format("{}", *one.settings.seed) : "unknown";
  };
  log::warning(
      fmt::format("{} (seed {}) and {} (seed {}) have the same gates and forces in every step: a copy or a repetition "
                  "is not a second run, and adds nothing to the spread of tau",
                  other.folder.string(), seed(other), run.folder.string(), seed(run)));
}

}  // namespace

std::vector<BaselineRun> read_compared_runs(const RunRecords& analyzed, const std::vector<std::string>& folders,
                                            const GateOptions& options) {
  std::vector<RunRecords> records;
  for (const std::string& folder : folders) {
    RunRecords run = read_run(folder);
    require_another(run, analyzed, true);
    for (const RunRecords& earlier : records) require_another(run, earlier, false);
    for (const std::string& message : run.damaged) log::warning(fmt::format("{}: passed over: {}", run.name, message));
    warn_of_equal(run, analyzed);
    for (const RunRecords& earlier : records) warn_of_equal(run, earlier);
    records.push_back(std::move(run));
  }
  std::vector<BaselineRun> runs;
  for (const RunRecords& run : records) {
    runs.push_back({.name = run.name,
                    .control = run.settings.control,
                    .seed = run.settings.seed,
                    .gates = analyze_gates(run, options)});
  }
  return runs;
}

}  // namespace nkat::validation
