// nkat_gate_simulation [SHARE]: prints the table of planted forces as Markdown (validation/gates/README.md), measured
// with SHARE of the runs (1 if absent). Same share, same table.
#include <algorithm>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/validation/gates/logistic_fit.h"
#include "tests/validation/gates/simulated_rates.h"

namespace nkat::validation {
namespace {

constexpr std::int64_t kFewSteps = 300;
constexpr double kStrongEvidence = 10.0;

struct RunCounts {
  std::int64_t one_layer = 1000;
  std::int64_t bootstrapped = 400;
  std::int64_t nulls_of_32_layers = 200;
  std::int64_t rises_of_32_layers = 100;
  std::int64_t logistic = 200;
};

RunCounts counts(double share) {
  const auto part = [&](std::int64_t count) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(share * static_cast<double>(count)));
  };
  const RunCounts all;
  return {part(all.one_layer), part(all.bootstrapped), part(all.nulls_of_32_layers), part(all.rises_of_32_layers),
          part(all.logistic)};
}

std::string percent(std::int64_t count, std::int64_t of) {
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(count) / static_cast<double>(of));
}

// Of constant pushes and everything else: how often the gate's course is a logistic by the usual test.
std::string logistic_share(const PlantedForce& planted, std::int64_t runs) {
  std::vector<char> called(static_cast<std::size_t>(runs));
  parallel_for(called.size(), [&](std::size_t run) {
    called[run] = logistic_over_line(simulate(planted, 0, run).gate) > kStrongEvidence ? 1 : 0;
  });
  return percent(std::ranges::count(called, 1), runs);
}

std::string coverage(const PlantedForce& planted, std::int64_t runs) {
  if (!planted.tau) return "";
  const SimulatedRates rates = measure(planted, {.runs = runs, .replicates = 200});
  return fmt::format("{:.3f} of {}", rates.coverage(), percent(rates.intervals, rates.runs));
}

void print_row(const PlantedForce& planted, const RunCounts& runs, bool is_null) {
  const SimulatedRates one = measure(planted, {.runs = runs.one_layer});
  const SimulatedRates many =
      measure(planted, {.runs = is_null ? runs.nulls_of_32_layers : runs.rises_of_32_layers, .layers = 32});
  const SimulatedRates brief = measure(planted, {.runs = runs.one_layer, .steps = kFewSteps});
  const std::string tau =
      one.tau.empty() || is_null ? "" : fmt::format("{}-{}", one.tau_quantile(0.05), one.tau_quantile(0.95));
  fmt::print("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", planted.name,
             percent(one.called(), one.runs), percent(one.verdict(Verdict::kTransition), one.runs),
             percent(one.verdict(Verdict::kInProgress), one.runs), percent(one.verdict(Verdict::kUnresolved), one.runs),
             percent(one.sign_changes, one.runs), percent(one.reclosed, one.runs), tau,
             coverage(planted, runs.bootstrapped), percent(many.called(), many.series),
             fmt::format("{}, {}", percent(many.runs_called, many.runs), percent(many.sums_called, many.runs)),
             is_null ? percent(brief.called(), brief.runs) : "", logistic_share(planted, runs.logistic));
  std::fflush(stdout);
}

int print_table(double share) {
  const RunCounts runs = counts(share);
  fmt::print(
      "{} steps; {} runs of one layer ({} with intervals); of 32 layers {} runs without a rise and {} with one.\n\n",
      kSimulatedSteps, runs.one_layer, runs.bootstrapped, runs.nulls_of_32_layers, runs.rises_of_32_layers);
  fmt::print(
      "| planted force | called | transition | in progress | unresolved | sign change | reclosed | tau, 5-95 % "
      "| tau in its 95 % interval, of the runs that have one | 32 layers: layers called | runs with a layer called, "
      "sum called "
      "| called within the first 300 steps | a logistic beats a line "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const PlantedForce& planted : null_rows()) print_row(planted, runs, /*is_null=*/true);
  print_row(unresolvable_row(), runs, /*is_null=*/true);
  print_row(opened_then_shut_row(), runs, /*is_null=*/true);
  for (const PlantedForce& planted : step_rows()) print_row(planted, runs, /*is_null=*/false);
  for (const PlantedForce& planted : ramp_rows()) print_row(planted, runs, /*is_null=*/false);
  return 0;
}

}  // namespace
}  // namespace nkat::validation

int main(int argc, char** argv) {
  const double share = argc > 1 ? std::strtod(argv[1], nullptr) : 1.0;
  if (argc > 2 || !(share > 0.0)) {
    fmt::print(stderr, "usage: nkat_gate_simulation [SHARE]: the share of the runs to make, above 0, 1 if absent\n");
    return static_cast<int>(nkat::ExitCode::kUsage);
  }
  return nkat::validation::print_table(share);
}
