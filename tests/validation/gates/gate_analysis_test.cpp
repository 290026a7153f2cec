#include "validation/gates/gate_analysis.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <sched.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "core/signals.h"
#include "tests/support/message_of.h"

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kShut = 0.0067;

// A gate that stays shut, and no force.
GateSeries shut_gate(std::size_t lines) {
  GateSeries series{0, {}, std::vector<double>(lines, kShut), std::vector<double>(lines, 0.0)};
  for (std::size_t t = 0; t < lines; ++t) series.steps.push_back(static_cast<std::int64_t>(t) + 1);
  return series;
}

// Force -0.5 up to `step`, 1 from there on, with noise of 0.3: nothing that noise could hide.
GateSeries risen(std::size_t lines, std::int64_t step) {
  GateSeries series = shut_gate(lines);
  RandomStream random(10, "series-analysis");
  for (std::size_t t = 0; t < lines; ++t)
    series.force[t] = (series.steps[t] >= step ? 1.0 : -0.5) + 0.3 * random.normal();
  return series;
}

void open_at(GateSeries& series, std::int64_t step) {
  for (std::size_t t = 0; t < series.gate.size(); ++t) series.gate[t] = series.steps[t] >= step ? 0.8 : kShut;
}

TEST(SeriesAnalysis, CallsARiseThatOpenedTheGateATransition) {
  GateSeries series = risen(600, 201);
  open_at(series, 300);
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.verdict, Verdict::kTransition);
  // 5 standard deviations high.
  EXPECT_EQ(finding.tau, 201);
  EXPECT_EQ(finding.sign_change, 201);
  EXPECT_EQ(finding.shape, RiseShape::kAbrupt);
  EXPECT_EQ(finding.opened_at, 300);
  ASSERT_TRUE(finding.tau_interval && finding.sign_change_interval);
  EXPECT_LE(finding.tau_interval->low, 201.0);
  EXPECT_GE(finding.tau_interval->high, 201.0);
  EXPECT_LE(finding.tau_interval->high - finding.tau_interval->low, 6.0);
  EXPECT_FALSE(finding.smallest_step_seen.has_value());
  ASSERT_EQ(finding.levels.size(), 2u);
  EXPECT_EQ(finding.levels[0].from, 1);
  EXPECT_EQ(finding.levels[0].to, 200);
  EXPECT_EQ(finding.levels[1].from, 201);
  EXPECT_EQ(finding.levels[1].to, 600);
  // Standard errors 0.3/sqrt(200) and 0.3/sqrt(400); clipping moves the mean by less.
  EXPECT_NEAR(finding.levels[0].force, -0.5, 0.1);
  EXPECT_NEAR(finding.levels[1].force, 1.0, 0.07);
}

TEST(SeriesAnalysis, CallsARiseWithAShutGateInProgress) {
  EXPECT_EQ(analyze_series(risen(600, 201), 1, {}).verdict, Verdict::kInProgress);
}

TEST(SeriesAnalysis, PassesOverARiseAfterTheOpening) {
  GateSeries series = risen(600, 401);
  for (double& force : series.force) force += 1.0;
  open_at(series, 300);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kDrift);
  open_at(series, 450);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kTransition);
}

TEST(SeriesAnalysis, ARiseThatBeginsAtTheOpeningCounts) {
  GateSeries series = risen(600, 401);
  open_at(series, *analyze_series(series, 1, {}).tau);
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kTransition);
}

TEST(SeriesAnalysis, IntervalsPassOverARiseAfterTheOpening) {
  GateSeries series = risen(600, 201);
  open_at(series, 300);
  for (std::size_t t = 449; t < 600; ++t) series.force[t] += 5.0;
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.tau, 201);
  ASSERT_TRUE(finding.tau_interval.has_value());
  EXPECT_LE(finding.tau_interval->high, 204.0);
}

TEST(SeriesAnalysis, EachLayerDrawsItsOwnReplicates) {
  GateSeries series = risen(600, 201);
  RandomStream random(13, "series-analysis");
  for (double& force : series.force) force += 1.5 * random.normal();
  const GateFinding first = analyze_series(series, 1, {});
  series.layer = 1;
  const GateFinding second = analyze_series(series, 1, {});
  ASSERT_TRUE(first.tau_interval && second.tau_interval);
  EXPECT_TRUE(first.tau_interval->low != second.tau_interval->low ||
              first.tau_interval->high != second.tau_interval->high);
}

TEST(SeriesAnalysis, SaysWhichStepItCouldHaveSeen) {
  GateSeries series = shut_gate(2000);
  RandomStream random(11, "series-analysis");
  for (double& force : series.force) force = random.normal();
  const GateFinding finding = analyze_series(series, 32, {});
  EXPECT_EQ(finding.verdict, Verdict::kClosed);
  ASSERT_TRUE(finding.smallest_step_seen.has_value());
  // (sqrt(3 ln 64000) + 1.64) sqrt(4/2000); the scale of the noise is good to 3 %.
  EXPECT_NEAR(*finding.smallest_step_seen, 0.331, 0.015);
}

TEST(SeriesAnalysis, LeavesSkippedStepsOutAndKeepsTheNumbers) {
  const GateSeries whole = risen(600, 201);
  GateSeries gaps = whole;
  for (std::size_t t = 40; t < 60; ++t) {
    gaps.force.insert(gaps.force.begin() + static_cast<std::ptrdiff_t>(t), kNan);
    gaps.gate.push_back(kShut);
    gaps.steps.push_back(gaps.steps.back() + 1);
  }
  const GateFinding finding = analyze_series(gaps, 1, {});
  EXPECT_EQ(finding.usable_steps, 600);
  EXPECT_EQ(finding.tau, *analyze_series(whole, 1, {}).tau + 20);
  EXPECT_EQ(finding.levels.front().from, 1);
  EXPECT_EQ(finding.levels.back().to, 620);
}

TEST(SeriesAnalysis, IsUnresolvedBelowAHundredUsableSteps) {
  EXPECT_EQ(analyze_series(risen(99, 50), 1, {}).verdict, Verdict::kUnresolved);
  EXPECT_NE(analyze_series(risen(100, 50), 1, {}).verdict, Verdict::kUnresolved);
  GateSeries skipped = risen(150, 50);
  for (std::size_t t = 0; t < 51; ++t) skipped.force[t] = kNan;
  EXPECT_EQ(analyze_series(skipped, 1, {}).verdict, Verdict::kUnresolved);
}

TEST(SeriesAnalysis, IsUnresolvedUnderCorrelatedNoise) {
  GateSeries series = shut_gate(1000);
  for (std::size_t t = 0; t < 1000; ++t) series.force[t] = std::sin(0.2 * static_cast<double>(t));
  const GateFinding finding = analyze_series(series, 1, {});
  EXPECT_EQ(finding.verdict, Verdict::kUnresolved);
  EXPECT_GT(finding.lag_one_correlation, 0.7);
  EXPECT_FALSE(finding.levels.empty());
}

TEST(SeriesAnalysis, SurvivesSeriesWithNothingToSee) {
  for (const std::size_t lines : {0, 1, 2, 3, 10, 30, 120, 2500}) {
    for (const double force : {0.0, 0.3, -1e300, 1e-300, kNan, std::numeric_limits<double>::infinity()}) {
      GateSeries series = shut_gate(lines);
      std::fill(series.force.begin(), series.force.end(), force);
      const GateFinding finding = analyze_series(series, 3, {});
      const bool resolved = std::isfinite(force) && lines >= 100;
      EXPECT_EQ(finding.verdict, resolved ? Verdict::kClosed : Verdict::kUnresolved) << lines << " " << force;
      EXPECT_EQ(finding.levels.size(), std::isfinite(force) && lines >= 2 ? 1u : 0u) << lines << " " << force;
      for (const ForceLevel& level : finding.levels) EXPECT_EQ(level.force, force);
    }
  }
}

TEST(SeriesAnalysis, SeesAStepWithoutAnyNoise) {
  GateSeries series = shut_gate(400);
  std::fill(series.force.begin() + 200, series.force.end(), 1.0);
  EXPECT_EQ(analyze_series(series, 1, {}).tau, 201);
}

TEST(SeriesAnalysis, TakesTheMinimumRiseFromTheOptions) {
  GateSeries series = risen(600, 201);
  for (double& force : series.force) force += 10.0;  // 9.5 to 11: a rise of 0.14 of the level
  EXPECT_EQ(analyze_series(series, 1, {}).verdict, Verdict::kClosed);
  EXPECT_EQ(analyze_series(series, 1, {.minimum_rise = 0.1}).verdict, Verdict::kInProgress);
}

// alpha of each layer by line, and no force.
RunRecords run_with_alpha(const std::vector<std::vector<double>>& alpha) {
  RunRecords run;
  run.folder = "runs/example";
  run.name = "example";
  for (const std::vector<double>& line : alpha) {
    data::StepMetrics metrics;
    metrics.step = static_cast<std::int64_t>(run.metrics.size()) + 1;
    metrics.alpha = line;
    metrics.gate_force.assign(line.size(), 0.0);
    metrics.alpha_learning_rate = 0.25;
    run.metrics.push_back(metrics);
  }
  return run;
}

// Layer l rises at step 100 (l + 1) under noise of 1 and opens 200 steps later.
RunRecords cascade(std::size_t layers, std::size_t lines) {
  RunRecords run = run_with_alpha(std::vector(lines, std::vector<double>(layers, -5.0)));
  RandomStream random(12, "gate-analysis");
  for (data::StepMetrics& line : run.metrics) {
    for (std::size_t l = 0; l < layers; ++l) {
      const auto tau = static_cast<std::int64_t>(100 * (l + 1));
      line.gate_force[l] = (line.step >= tau ? 1.0 : -0.5) + random.normal();
      if (line.step >= tau + 200) line.alpha[l] = 0.0;
    }
  }
  return run;
}

double logit(double gate) { return std::log(gate / (1.0 - gate)); }

TEST(GateAnalysis, OrderParameterIsTheMeanGate) {
  const RunRecords run =
      run_with_alpha({{logit(0.02), logit(0.04)}, {logit(0.06), logit(0.1)}, {logit(0.5), logit(0.9)}});
  const GateResults report = analyze_gates(run, {});
  ASSERT_EQ(report.order_parameter.size(), 3u);
  EXPECT_NEAR(report.order_parameter[0], 0.03, 1e-15);
  EXPECT_NEAR(report.order_parameter[1], 0.08, 1e-15);
  EXPECT_NEAR(report.order_parameter[2], 0.7, 1e-15);
  ASSERT_EQ(report.susceptibility.size(), 2u);
  EXPECT_NEAR(report.susceptibility[0], 0.05, 1e-15);
  EXPECT_NEAR(report.susceptibility[1], 0.62, 1e-15);
  EXPECT_EQ(report.max_susceptibility_step, 2);
  EXPECT_EQ(report.steps, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(report.crossings[0], 2);  // 0.05
  EXPECT_EQ(report.crossings[1], 3);  // 0.1
  EXPECT_EQ(report.crossings[2], 3);  // 0.5
  EXPECT_DOUBLE_EQ(report.alpha_reach.value(), 0.75);
  EXPECT_EQ(report.sum.opened_at, 3);
  EXPECT_EQ(report.layers[0].opened_at, 3);
}

TEST(GateAnalysis, HasNoCrossingWhereTheGatesStayShutOrStartAbove) {
  const GateResults shut = analyze_gates(run_with_alpha({{-5.0}, {-4.9}}), {});
  for (const auto& crossing : shut.crossings) EXPECT_FALSE(crossing.has_value());
  const GateResults open = analyze_gates(run_with_alpha({{logit(0.2)}, {logit(0.6)}}), {});
  EXPECT_FALSE(open.crossings[0].has_value());
  EXPECT_FALSE(open.crossings[1].has_value());
  EXPECT_EQ(open.crossings[2], 2);
}

TEST(GateAnalysis, LayersKeepTheirNumbers) {
  RunRecords run = run_with_alpha({{-5.0, -5.0}, {-5.0, -5.0}});
  run.first_layer = 7;
  const GateResults report = analyze_gates(run, {});
  ASSERT_EQ(report.layers.size(), 2u);
  EXPECT_EQ(report.layers[0].layer, 7);
  EXPECT_EQ(report.layers[1].layer, 8);
  EXPECT_EQ(report.sum.layer, -1);
}

TEST(GateAnalysis, FindsEachLayersRise) {
  const GateResults report = analyze_gates(cascade(4, 800), {});
  EXPECT_EQ(report.count(Verdict::kTransition), 4);
  for (std::size_t l = 0; l < 4; ++l) {
    ASSERT_TRUE(report.layers[l].tau.has_value());
    // A step of 1.5 standard deviations is placed to within 12 steps but for a chance of 1e-4.
    EXPECT_NEAR(static_cast<double>(*report.layers[l].tau), 100.0 * static_cast<double>(l + 1), 12.0);
  }
  // Four levels of the layers add up: -2 before the first rise, 4 after the last.
  EXPECT_NEAR(report.sum.levels.front().force, -2.0, 0.8);
  EXPECT_NEAR(report.sum.levels.back().force, 4.0, 0.4);
  EXPECT_EQ(report.sum.verdict, Verdict::kTransition);
}

TEST(GateAnalysis, ForceOfTheSumIsTheSumOfTheForces) {
  RunRecords run = cascade(3, 300);
  run.metrics[20].gate_force[1] = kNan;
  RunRecords sum = run_with_alpha(std::vector(300, std::vector<double>(1, -5.0)));
  for (std::size_t t = 0; t < 300; ++t) {
    for (const double force : run.metrics[t].gate_force) sum.metrics[t].gate_force[0] += force;
  }
  const GateResults report = analyze_gates(run, {});
  const GateResults alone = analyze_gates(sum, {});
  EXPECT_EQ(report.sum.usable_steps, 299);
  EXPECT_EQ(report.layers[0].usable_steps, 300);
  EXPECT_EQ(report.sum.noise_factor, alone.sum.noise_factor);
}

TEST(GateAnalysis, FrozenGatesNeverOpen) {
  RunRecords run = cascade(2, 500);
  for (data::StepMetrics& line : run.metrics) line.alpha.assign(2, -5.0);
  const GateResults report = analyze_gates(run, {});
  for (const GateFinding& layer : report.layers) {
    EXPECT_EQ(layer.verdict, Verdict::kInProgress);
    EXPECT_FALSE(layer.opened_at.has_value());
  }
  EXPECT_EQ(report.count(Verdict::kTransition), 0);
}

// Everything of a report that the bootstrap or the order of the layers could touch.
std::vector<double> numbers(const GateResults& report) {
  std::vector<double> numbers;
  std::vector<const GateFinding*> findings = {&report.sum};
  for (const GateFinding& layer : report.layers) findings.push_back(&layer);
  for (const GateFinding* finding : findings) {
    numbers.insert(numbers.end(),
                   {static_cast<double>(finding->verdict), static_cast<double>(finding->tau.value_or(-1)),
                    finding->tau_interval.value_or(Interval{}).low, finding->tau_interval.value_or(Interval{}).high,
                    finding->replicates_without_rise});
    for (const ForceLevel& level : finding->levels) numbers.push_back(level.force);
  }
  return numbers;
}

TEST(GateAnalysis, GivesTheSameNumbersOnOneProcessorAsOnAll) {
  const RunRecords run = cascade(5, 700);
  const std::vector<double> on_all = numbers(analyze_gates(run, {}));
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const std::vector<double> on_one = numbers(analyze_gates(run, {}));
  ASSERT_EQ(::sched_setaffinity(0, sizeof all, &all), 0);
  EXPECT_EQ(on_one, on_all);
}

TEST(GateAnalysis, TheSeedOfTheBootstrapMovesTheIntervalsOnly) {
  const RunRecords run = cascade(2, 700);
  const GateResults first = analyze_gates(run, {.seed = 1});
  const GateResults second = analyze_gates(run, {.seed = 2});
  EXPECT_EQ(first.layers[0].tau, second.layers[0].tau);
  EXPECT_NE(numbers(first), numbers(second));
}

TEST(GateAnalysis, SurvivesShortAndEmptyRuns) {
  EXPECT_EQ(analyze_gates(run_with_alpha({{-5.0}}), {}).sum.verdict, Verdict::kUnresolved);
  EXPECT_TRUE(analyze_gates(run_with_alpha({{-5.0}}), {}).susceptibility.empty());
  RunRecords damaged = run_with_alpha({{kNan, -5.0}, {kNan, -5.0}, {kNan, -4.0}});
  for (data::StepMetrics& line : damaged.metrics) line.gate_force.assign(2, kNan);
  const GateResults report = analyze_gates(damaged, {});
  EXPECT_EQ(report.count(Verdict::kUnresolved), 2);
  EXPECT_FALSE(report.max_susceptibility_step.has_value());

  RunRecords empty;
  empty.folder = "runs/none";
  EXPECT_THAT(nkat::testing::message_of<DataError>([&] { analyze_gates(empty, {}); }), HasSubstr("runs/none"));
}

TEST(GateAnalysis, SaysWhetherTheRunIsFinished) {
  RunRecords run = run_with_alpha({{-5.0}, {-5.0}});
  run.settings.max_steps = 3;
  EXPECT_EQ(analyze_gates(run, {}).finished, false);
  run.settings.max_steps = 2;
  EXPECT_EQ(analyze_gates(run, {}).finished, true);
  run.settings.max_steps.reset();
  EXPECT_EQ(analyze_gates(run, {}).finished, std::nullopt);
}

TEST(GateAnalysisDeathTest, StopsWhenAsked) {
  const auto stopped = [] {
    install_stop_signals();
    std::raise(SIGTERM);
    try {
      analyze_gates(cascade(2, 300), {});
    } catch (const Interrupted&) {
      std::_Exit(75);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(stopped(), ::testing::ExitedWithCode(75), "");
}

}  // namespace
}  // namespace nkat::validation
