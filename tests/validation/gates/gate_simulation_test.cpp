// The table of validation/gates/README.md, measured. Seeds are fixed, so that a bound holds or doesn't, with no
// allowance: the rule errs in about 1 % of the runs of its worst null rows, and a true rate of 1 % would pass 2 % of
// 1,000 runs, or 5 % of 200, by chance in fewer than 1 of 500 cases. A build without optimization makes a twentieth of
// the runs; there a bound gets three standard deviations of its binomial, and one run, as allowance.
#include <cctype>
#include <cmath>
#include <ostream>

#include <gtest/gtest.h>

#include "tests/validation/gates/simulated_rates.h"

namespace nkat::validation {

// What ctest shows of a row.
void PrintTo(const PlantedForce& planted, std::ostream* out) { *out << planted.name; }

namespace {

#ifdef __OPTIMIZE__
constexpr std::int64_t kDivisor = 1;
#else
constexpr std::int64_t kDivisor = 20;
#endif

constexpr std::int64_t kRunsOfOneLayer = 1000 / kDivisor;
constexpr std::int64_t kRunsOf32Layers = 200 / kDivisor;
constexpr std::int64_t kRunsOf32LayersWithRise = 40 / kDivisor;  // 1,280 series
constexpr std::int64_t kBootstrappedRuns = 200 / kDivisor;

double allowance(std::int64_t of, double share) {
  if (kDivisor == 1) return 0.0;
  return 1.0 + 3.0 * std::sqrt(static_cast<double>(of) * share * (1.0 - share));
}

void expect_at_most(std::int64_t count, std::int64_t of, double share) {
  EXPECT_LE(static_cast<double>(count), share * static_cast<double>(of) + allowance(of, share));
}

void expect_at_least(std::int64_t count, std::int64_t of, double share) {
  EXPECT_GE(static_cast<double>(count), share * static_cast<double>(of) - allowance(of, share));
}

// Letters and digits of the row's name, a sign spelt out.
std::string case_name(const ::testing::TestParamInfo<PlantedForce>& row) {
  std::string name;
  for (const char letter : row.param.name) {
    if (letter == '-') name += "Minus";
    if (letter == '.') name += "p";
    if (std::isalnum(static_cast<unsigned char>(letter)) != 0) name += letter;
  }
  return name;
}

class NullForce : public ::testing::TestWithParam<PlantedForce> {};
INSTANTIATE_TEST_SUITE_P(GateSimulation, NullForce, ::testing::ValuesIn(null_rows()), case_name);

TEST_P(NullForce, IsNoRiseInOneLayer) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOfOneLayer});
  expect_at_most(rates.called(), rates.runs, 0.02);
}

TEST_P(NullForce, IsNoRiseInAnyOf32Layers) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOf32Layers, .layers = 32});
  expect_at_most(rates.runs_called, rates.runs, 0.05);
  expect_at_most(rates.sums_called, rates.runs, 0.05);
}

// With 300 steps a cut for white noise would call a tenth of the runs under correlated noise.
TEST_P(NullForce, IsNoRiseInOneLayerOf300Steps) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOfOneLayer, .steps = 300});
  expect_at_most(rates.called(), rates.runs, 0.02);
}

class Step : public ::testing::TestWithParam<PlantedForce> {};
INSTANTIATE_TEST_SUITE_P(GateSimulation, Step, ::testing::ValuesIn(step_rows()), case_name);

TEST_P(Step, IsFoundInOneLayer) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOfOneLayer});
  expect_at_least(rates.called(), rates.runs, 0.95);
  // Half of all estimates lie within 60 steps of the truth: the weakest step has 5-95 % from 100 before to 120 after.
  EXPECT_NEAR(static_cast<double>(rates.tau_quantile(0.5)), static_cast<double>(*GetParam().tau), 60.0);
  if (GetParam().mean(1) < 0.0) expect_at_least(rates.sign_changes, rates.runs, 0.98);
}

TEST_P(Step, IsFoundIn32Layers) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOf32LayersWithRise, .layers = 32});
  expect_at_least(rates.called(), rates.series, GetParam().name == "0 to 0.3 at 800" ? 0.70 : 0.95);
  EXPECT_EQ(rates.sums_called, rates.runs);
}

TEST_P(Step, LiesInTheIntervalOfTau) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kBootstrappedRuns, .replicates = 200});
  expect_at_least(rates.intervals, rates.runs, 0.80);
  expect_at_least(rates.covering, rates.intervals, 0.85);
}

class Ramp : public ::testing::TestWithParam<PlantedForce> {};
INSTANTIATE_TEST_SUITE_P(GateSimulation, Ramp, ::testing::ValuesIn(ramp_rows()), case_name);

TEST_P(Ramp, IsFoundInOneLayer) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOfOneLayer});
  expect_at_least(rates.called(), rates.runs, 0.94);
}

TEST_P(Ramp, IsFoundIn32Layers) {
  const SimulatedRates rates = measure(GetParam(), {.runs = kRunsOf32LayersWithRise, .layers = 32});
  expect_at_least(rates.called(), rates.series, 0.65);
}

TEST(GateSimulation, LeavesStronglyCorrelatedNoiseUnresolved) {
  const SimulatedRates rates = measure(unresolvable_row(), {.runs = kRunsOfOneLayer});
  EXPECT_EQ(rates.verdict(Verdict::kUnresolved), rates.runs);
}

TEST(GateSimulation, CallsAGateThatWasOpenedAndShutReclosedDrift) {
  const SimulatedRates rates = measure(opened_then_shut_row(), {.runs = kRunsOfOneLayer});
  expect_at_least(rates.verdict(Verdict::kDrift), rates.runs, 0.98);
  expect_at_least(rates.reclosed, rates.runs, 0.98);
}

TEST(GateSimulation, LeavesAGateThatWasOpenedAndShutUncalledIn32Layers) {
  const SimulatedRates rates = measure(opened_then_shut_row(), {.runs = kRunsOf32Layers, .layers = 32});
  expect_at_most(rates.runs_called, rates.runs, 0.05);
}

}  // namespace
}  // namespace nkat::validation
