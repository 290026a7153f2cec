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
  const GateReport report = analyze_gates(run, {});
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
  const GateReport shut = analyze_gates(run_with_alpha({{-5.0}, {-4.9}}), {});
  for (const auto& crossing : shut.crossings) EXPECT_FALSE(crossing.has_value());
  const GateReport open = analyze_gates(run_with_alpha({{logit(0.2)}, {logit(0.6)}}), {});
  EXPECT_FALSE(open.crossings[0].has_value());
  EXPECT_FALSE(open.crossings[1].has_value());
  EXPECT_EQ(open.crossings[2], 2);
}

TEST(GateAnalysis, LayersKeepTheirNumbers) {
  RunRecords run = run_with_alpha({{-5.0, -5.0}, {-5.0, -5.0}});
  run.first_layer = 7;
  const GateReport report = analyze_gates(run, {});
  ASSERT_EQ(report.layers.size(), 2u);
  EXPECT_EQ(report.layers[0].layer, 7);
  EXPECT_EQ(report.layers[1].layer, 8);
  EXPECT_EQ(report.sum.layer, -1);
}

TEST(GateAnalysis, FindsEachLayersRise) {
  const GateReport report = analyze_gates(cascade(4, 800), {});
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
  const GateReport report = analyze_gates(run, {});
  const GateReport alone = analyze_gates(sum, {});
  EXPECT_EQ(report.sum.usable_steps, 299);
  EXPECT_EQ(report.layers[0].usable_steps, 300);
  EXPECT_EQ(report.sum.noise_factor, alone.sum.noise_factor);
}

TEST(GateAnalysis, FrozenGatesNeverOpen) {
  RunRecords run = cascade(2, 500);
  for (data::StepMetrics& line : run.metrics) line.alpha.assign(2, -5.0);
  const GateReport report = analyze_gates(run, {});
  for (const GateFinding& layer : report.layers) {
    EXPECT_EQ(layer.verdict, Verdict::kInProgress);
    EXPECT_FALSE(layer.opened_at.has_value());
  }
  EXPECT_EQ(report.count(Verdict::kTransition), 0);
}

// Everything of a report that the bootstrap or the order of the layers could touch.
std::vector<double> numbers(const GateReport& report) {
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
  const GateReport first = analyze_gates(run, {.seed = 1});
  const GateReport second = analyze_gates(run, {.seed = 2});
  EXPECT_EQ(first.layers[0].tau, second.layers[0].tau);
  EXPECT_NE(numbers(first), numbers(second));
}

TEST(GateAnalysis, SurvivesShortAndEmptyRuns) {
  EXPECT_EQ(analyze_gates(run_with_alpha({{-5.0}}), {}).sum.verdict, Verdict::kUnresolved);
  EXPECT_TRUE(analyze_gates(run_with_alpha({{-5.0}}), {}).susceptibility.empty());
  RunRecords damaged = run_with_alpha({{kNan, -5.0}, {kNan, -5.0}, {kNan, -4.0}});
  for (data::StepMetrics& line : damaged.metrics) line.gate_force.assign(2, kNan);
  const GateReport report = analyze_gates(damaged, {});
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
