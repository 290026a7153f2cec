#include "validation/stability/stability.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

using LossFunction = std::function<double(std::int64_t step)>;

// Steps 1..n with this loss, a gradient norm of 1, 100 tokens and half a second each.
RunRecords run_of(std::int64_t steps, const LossFunction& loss) {
  RunRecords run;
  for (std::int64_t step = 1; step <= steps; ++step) {
    data::StepMetrics line;
    line.step = step;
    line.loss = loss(step);
    line.grad_norm = 1.0;
    line.tokens = 100;
    line.step_seconds = 0.5;
    line.memory_bytes = static_cast<std::uint64_t>(1000 + step % 7);
    line.alpha = line.gate_force = {0.0};
    run.metrics.push_back(line);
  }
  return run;
}

StabilityResults report_of(const RunRecords& run) { return analyze_stability(run, {}).value(); }

// Falls like a loss does, with normal noise.
LossFunction falling(double noise, std::uint64_t seed = 0) {
  return [random = std::make_shared<RandomStream>(seed, "test-loss"), noise](std::int64_t step) {
    return 2 + 4 * std::exp(-static_cast<double>(step) / 40) + noise * random->normal();
  };
}

std::vector<std::pair<std::int64_t, std::string>> spikes_of(const StabilityResults& report) {
  std::vector<std::pair<std::int64_t, std::string>> spikes;
  for (const Outlier& spike : report.spikes) spikes.emplace_back(spike.step, spike.what);
  return spikes;
}

TEST(Stability, HasNothingToSayWithoutLosses) {
  RunRecords run = run_of(10, [](auto) { return 1.0; });
  run.series_only = true;
  EXPECT_FALSE(analyze_stability(run, {}).has_value());
}

TEST(Stability, FindsSingleSpikesOfLossAndGradientNorm) {
  RunRecords run = run_of(1000, falling(0.05));
  run.metrics[499].loss += 1.0;  // 20 deviations
  run.metrics[699].grad_norm = 50.0;
  run.metrics[799].loss -= 1.0;  // a dip is no spike
  const StabilityResults report = report_of(run);
  EXPECT_THAT(spikes_of(report), ElementsAre(Pair(500, "loss"), Pair(700, "gradient norm")));
  EXPECT_NEAR(report.spikes[0].z, 20, 5);
  EXPECT_EQ(report.spikes[0].value, run.metrics[499].loss);
  EXPECT_EQ(report.spikes[1].value, 50.0);
}

TEST(Stability, TakesNoNoiseForASpike) {
  std::int64_t found = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    RunRecords run = run_of(5000, falling(0.3, seed));
    RandomStream random(seed, "test-norm");
    for (auto& line : run.metrics) line.grad_norm = std::exp(random.normal());  // four decades in 5,000 steps
    found += static_cast<std::int64_t>(analyze_stability(run, {.spike_z = 4.0})->spikes.size());
    EXPECT_TRUE(report_of(run).spikes.empty()) << "seed " << seed;
  }
  // Beyond 4 deviations to one side lie 3.2e-5 of a normal distribution; the local scale, estimated from 251 steps,
  // adds some. 2 x 100,000 steps.
  EXPECT_LT(found, 200000 * 3e-4);
}

// Noise that is ten times larger at the start is measured against its neighbors.
TEST(Stability, TakesNoiseThatIsLargerAtTheStartForNoSpike) {
  RandomStream random(2, "test-noise");
  const RunRecords run = run_of(2000, [&](auto step) { return 3 + (step <= 200 ? 0.3 : 0.03) * random.normal(); });
  EXPECT_TRUE(report_of(run).spikes.empty());
}

TEST(Stability, TakesTheNoiseOfAShortRunForNoSpike) {
  for (const std::int64_t steps : {2, 5, 10, 15, 20, 25, 30, 50, 100, 300}) {
    std::int64_t found = 0;
    const std::int64_t runs = 3000 / steps;
    for (std::int64_t seed = 0; seed < runs; ++seed)
      found += static_cast<std::int64_t>(
          report_of(run_of(steps, falling(0.3, static_cast<std::uint64_t>(seed)))).spikes.size());
    EXPECT_LT(static_cast<double>(found), 0.01 * static_cast<double>(runs * steps)) << steps;
  }
}

TEST(Stability, TakesTheFallAtTheStartForNoSpike) {
  EXPECT_TRUE(report_of(run_of(300, [](auto step) {
                return 2 + 9 * std::exp(-static_cast<double>(step) / 5);
              })).spikes.empty());
  EXPECT_TRUE(report_of(run_of(10, [](auto step) { return 8.0 / static_cast<double>(step); })).spikes.empty());
}

TEST(Stability, ListsSkippedStepsAndPassesOverTheirNaN) {
  RunRecords run = run_of(200, falling(0.05));
  for (const std::size_t i : {50U, 180U}) {
    run.metrics[i].loss = run.metrics[i].grad_norm = NAN;
    run.metrics[i].skipped = "the loss is not finite";
  }
  const StabilityResults report = report_of(run);
  EXPECT_THAT(report.skipped, ElementsAre(Pair(51, "the loss is not finite"), Pair(181, "the loss is not finite")));
  EXPECT_TRUE(report.spikes.empty());
  EXPECT_FALSE(report.diverged_at.has_value());
  EXPECT_TRUE(std::isfinite(report.loss_last));
  EXPECT_EQ(report.convergence->steps, 40);
}

TEST(Stability, SeesALossThatStaysAboveItsStart) {
  RunRecords run = run_of(400, falling(0.05));
  for (std::size_t i = 300; i < 400; ++i) run.metrics[i].loss = 9;
  EXPECT_EQ(report_of(run).diverged_at, 301);
  run.metrics[350].loss = 3;  // back for one step
  EXPECT_EQ(report_of(run).diverged_at, 352);
  run.metrics[399].loss = 3;
  EXPECT_FALSE(report_of(run).diverged_at.has_value());
}

TEST(Stability, SeesARunThatEndsInLossesThatAreNotFinite) {
  RunRecords run = run_of(100, falling(0.05));
  for (std::size_t i = 97; i < 100; ++i) run.metrics[i].loss = NAN;
  EXPECT_EQ(report_of(run).diverged_at, 98);
  run.metrics[97].loss = 2;
  EXPECT_FALSE(report_of(run).diverged_at.has_value());
}

TEST(Stability, TakesALossThatNeverMovesForNoDivergence) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    RandomStream random(seed, "test-flat");
    EXPECT_FALSE(report_of(run_of(500, [&](auto) { return 4 + 0.1 * random.normal(); })).diverged_at.has_value());
  }
}

TEST(Stability, CallsAFlatEndConverged) {
  const Convergence found = report_of(run_of(500, falling(0.05))).convergence.value();
  EXPECT_TRUE(found.converged);
  EXPECT_EQ(found.steps, 100);
  EXPECT_LT(found.slope.interval->low, found.slope.value);
}

TEST(Stability, CallsASteadyFallNotConverged) {
  RandomStream random(5, "test-slope");
  const Convergence found = report_of(run_of(500, [&](auto step) {
                              return 6 - 0.01 * static_cast<double>(step) + 0.01 * random.normal();
                            })).convergence.value();
  EXPECT_FALSE(found.converged);
  EXPECT_TRUE(found.slope.interval->low < -0.01 && -0.01 < found.slope.interval->high);
  EXPECT_NEAR(found.relative_change, 1.0 / 1.5, 0.02);  // from 2 to 1, about a mean of 1.5
}

TEST(Stability, CallsAFallOfLessThanOnePercentConverged) {
  const auto slow = [](auto step) { return 2 - 1e-5 * static_cast<double>(step); };  // 0.05 % in the last fifth
  const RunRecords run = run_of(500, slow);
  EXPECT_TRUE(report_of(run).convergence->converged);
  EXPECT_FALSE(analyze_stability(run, {.converged_change = 1e-4})->convergence->converged);
}

TEST(Stability, SeesValidationTurnWhileTrainingFalls) {
  RunRecords run = run_of(500, falling(0.02));
  for (std::size_t i = 49; i < 500; i += 50)  // lowest at step 250
    run.metrics[i].validation_loss = 2.5 + 1e-5 * std::pow(static_cast<double>(i) - 249, 2.0);
  const Overfitting found = report_of(run).overfitting.value();
  EXPECT_TRUE(found.overfitted);
  EXPECT_EQ(found.lowest_step, 250);
  EXPECT_EQ(found.turn_step, 300);
  EXPECT_DOUBLE_EQ(found.validation_lowest, 2.5);
  EXPECT_DOUBLE_EQ(found.validation_last, 3.125);
  EXPECT_DOUBLE_EQ(found.rise, 0.25);
  EXPECT_GT(found.gap_trend->value, 0);
}

TEST(Stability, CallsARiseWithinTwoPercentNotOverfitted) {
  RunRecords run = run_of(300, falling(0.02));
  for (const auto& [step, loss] : {std::pair{100, 2.5}, {200, 2.0}, {300, 2.03}})
    run.metrics[static_cast<std::size_t>(step - 1)].validation_loss = loss;
  const Overfitting found = report_of(run).overfitting.value();
  EXPECT_FALSE(found.overfitted);
  EXPECT_EQ(found.turn_step, 300);
  EXPECT_NEAR(found.rise, 0.015, 1e-12);
  EXPECT_TRUE(analyze_stability(run, {.overfitting_rise = 0.01})->overfitting->overfitted);
}

TEST(Stability, ComparesOnlyLossesOnTheSameValidationData) {
  RunRecords run = run_of(500, falling(0.02));
  for (std::size_t i = 99; i < 500; i += 100) run.metrics[i].validation_loss = i < 200 ? 1.0 : 3.0;
  EXPECT_TRUE(report_of(run).overfitting->overfitted);
  run.settings.validation_since = 200;
  EXPECT_FALSE(report_of(run).overfitting->overfitted);
  EXPECT_EQ(report_of(run).overfitting->validation_lowest, 3.0);
  run.settings.validation_since = 300;
  EXPECT_FALSE(report_of(run).overfitting.has_value());
}

TEST(Stability, HasNoTurnWhereTheLastValidationIsTheLowest) {
  RunRecords run = run_of(300, falling(0.02));
  for (std::size_t i = 99; i < 300; i += 100) run.metrics[i].validation_loss = 3 - 0.001 * static_cast<double>(i);
  const Overfitting found = report_of(run).overfitting.value();
  EXPECT_FALSE(found.turn_step.has_value());
  EXPECT_EQ(found.rise, 0);
  EXPECT_EQ(found.lowest_step, 300);
}

// Validation lies 0.1 + 0.001 step above a training loss without noise: the slope of the gap is 0.001.
TEST(Stability, MeasuresTheTrendOfTheGapToTheTrainingLoss) {
  RunRecords run = run_of(400, [](auto) { return 2.0; });
  for (std::size_t i = 49; i < 400; i += 50)
    run.metrics[i].validation_loss = 2.1 + 0.001 * static_cast<double>(run.metrics[i].step);
  const Estimate trend = report_of(run).overfitting->gap_trend.value();
  EXPECT_NEAR(trend.value, 0.001, 1e-12);
  EXPECT_NEAR(trend.interval->low, 0.001, 1e-9);
}

TEST(Stability, ComparesValidationWithTheTrainingLossAroundIt) {
  RunRecords run = run_of(400, [](auto step) { return 8 - 0.01 * static_cast<double>(step); });
  for (std::size_t i = 49; i < 400; i += 50)
    run.metrics[i].validation_loss = 8 - 0.01 * static_cast<double>(run.metrics[i].step);
  // The last window is half a window, whose mean lies a quarter of the distance before its end.
  EXPECT_NEAR(report_of(run).overfitting->gap_trend->value, 0, 0.01 * 50 / 4 / 350);
}

TEST(Stability, LeavesOutWhatAShortRunCannotTell) {
  const StabilityResults one = report_of(run_of(1, [](auto) { return 3.5; }));
  EXPECT_FALSE(one.convergence.has_value());
  EXPECT_FALSE(one.overfitting.has_value());
  EXPECT_FALSE(one.diverged_at.has_value());
  EXPECT_TRUE(one.spikes.empty());
  EXPECT_EQ(one.loss_first, 3.5);
  EXPECT_EQ(one.loss_last, 3.5);
  const StabilityResults ten = report_of(run_of(10, falling(0.1)));
  EXPECT_FALSE(ten.convergence.has_value());
  EXPECT_FALSE(ten.diverged_at.has_value());
  EXPECT_TRUE(ten.spikes.empty());
}

TEST(Stability, SurvivesARunWithoutAnyFiniteNumber) {
  RunRecords run = run_of(200, [](auto) { return NAN; });
  for (auto& line : run.metrics) {
    line.grad_norm = line.step_seconds = NAN;
    line.validation_loss = NAN;
  }
  const StabilityResults report = report_of(run);
  EXPECT_EQ(report.diverged_at, 1);
  EXPECT_TRUE(std::isnan(report.loss_first));
  EXPECT_TRUE(std::isnan(report.loss_last));
  EXPECT_FALSE(report.convergence.has_value());
  EXPECT_EQ(report.hours, 0);
}

TEST(Stability, HasNoTrendOfTheGapWithoutFiniteTrainingLosses) {
  RunRecords run = run_of(200, [](auto) { return NAN; });
  for (std::size_t i = 49; i < 200; i += 50) run.metrics[i].validation_loss = 2.0;
  EXPECT_FALSE(report_of(run).overfitting->gap_trend.has_value());
}

TEST(Stability, SaysWhyConvergenceIsNotMeasured) {
  const auto lost = [](auto) { return NAN; };
  EXPECT_EQ(report_of(run_of(500, falling(0.02))).why_no_convergence, "");
  EXPECT_EQ(report_of(run_of(40, falling(0.02))).why_no_convergence,
            "too few steps: the last fifth has 8, 10 are needed");
  EXPECT_EQ(report_of(run_of(500, lost)).why_no_convergence, "none of the last 100 losses finite, 10 are needed");
  RunRecords run = run_of(500, falling(0.02));
  for (std::size_t i = 403; i < 500; ++i) run.metrics[i].loss = NAN;
  EXPECT_EQ(report_of(run).why_no_convergence, "only 3 of the last 100 losses finite, 10 are needed");
  EXPECT_FALSE(report_of(run).convergence.has_value());
}

TEST(Stability, CountsHoursSoFarAndForTheWholeRun) {
  RunRecords run = run_of(720, falling(0.1));
  run.metrics[10].step_seconds = 0.5;
  EXPECT_DOUBLE_EQ(report_of(run).hours, 0.1);
  EXPECT_DOUBLE_EQ(report_of(run).hours_planned, 0.1);
  run.settings.max_steps = 7200;
  EXPECT_DOUBLE_EQ(report_of(run).hours_planned, 1.0);
  run.settings.max_steps = 500;  // lowered meanwhile
  EXPECT_DOUBLE_EQ(report_of(run).hours_planned, 0.1);
  EXPECT_EQ(report_of(run).peak_memory_bytes, 1006U);
}

TEST(Stability, MeasuresTheSpeedOfEachPhase) {
  RunRecords run = run_of(600, falling(0.1));
  run.settings.warmup_steps = 100;
  run.settings.annealing_warmup = 500;
  for (std::size_t i = 500; i < 600; ++i) run.metrics[i].step_seconds = 0.25;
  run.metrics[0].tokens = 300;  // 10,200 tokens in 50 seconds
  const auto phases = report_of(run).phases;
  ASSERT_EQ(phases.size(), 3U);
  EXPECT_EQ(phases[0].name, "rate warm-up");
  EXPECT_EQ(phases[0].to, 100);
  EXPECT_DOUBLE_EQ(phases[0].tokens_per_second, 204);
  EXPECT_EQ(phases[1].name, "lambda annealing");
  EXPECT_EQ(phases[1].from, 101);
  EXPECT_EQ(phases[1].to, 500);
  EXPECT_DOUBLE_EQ(phases[1].tokens_per_second, 200);
  EXPECT_EQ(phases[2].name, "full lambda");
  EXPECT_EQ(phases[2].from, 501);
  EXPECT_EQ(phases[2].to, 600);
  EXPECT_DOUBLE_EQ(phases[2].tokens_per_second, 400);
}

TEST(Stability, LeavesOutPhasesThatHaveNoSteps) {
  RunRecords run = run_of(50, falling(0.1));
  run.settings.warmup_steps = 100;
  run.settings.annealing_warmup = 20;
  EXPECT_EQ(report_of(run).phases.size(), 1U);
  EXPECT_EQ(report_of(run).phases[0].to, 50);
  run.settings.warmup_steps = 0;
  EXPECT_EQ(report_of(run).phases[0].name, "lambda annealing");
  run.settings = {};
  EXPECT_EQ(report_of(run).phases[0].name, "all steps");
}

}  // namespace
}  // namespace nkat::validation
