#include "validation/gates/run_comparison.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::validation {
namespace {

GateReport report(const std::vector<Verdict>& layers, std::int64_t first_layer = 0) {
  GateReport report;
  report.sum.verdict = layers.front();
  for (const Verdict verdict : layers) {
    GateFinding finding;
    finding.layer = first_layer + static_cast<std::int64_t>(report.layers.size());
    finding.verdict = verdict;
    if (verdict == Verdict::kTransition) finding.tau = 100 * (finding.layer + 1);
    report.layers.push_back(finding);
  }
  return report;
}

RunRecords records(const std::string& control = "none") {
  RunRecords run;
  run.name = "main";
  run.settings.control = control;
  return run;
}

constexpr Verdict kT = Verdict::kTransition;
constexpr Verdict kD = Verdict::kDrift;
constexpr Verdict kC = Verdict::kClosed;

TEST(RunComparison, ATransitionIsSpecificIfTheIdentityControlHasNone) {
  GateReport main = report({kT, kT, kD, kC});
  const RunComparison comparison =
      compare_runs(main, records(), {{"control", "identity", 0, report({kD, kT, kT, kC})}});
  EXPECT_EQ(main.layers[0].specific, true);
  EXPECT_EQ(main.layers[1].specific, false);
  EXPECT_FALSE(main.layers[2].specific.has_value());
  EXPECT_FALSE(main.layers[3].specific.has_value());
  EXPECT_EQ(main.sum.specific, true);
  ASSERT_EQ(comparison.controls.size(), 1u);
  EXPECT_EQ(comparison.controls[0].name, "control");
  EXPECT_EQ(comparison.controls[0].transitions_in_both, std::vector<std::int64_t>{1});
  EXPECT_EQ(comparison.controls[0].transitions, 2);
  EXPECT_FALSE(comparison.controls[0].run_is_transition);
}

TEST(RunComparison, OtherControlsAndSeedsSayNothingAboutSpecificity) {
  GateReport main = report({kT, kT});
  const RunComparison comparison = compare_runs(
      main, records(), {{"seed 1", "none", 1, report({kT, kC})}, {"shuffled", "shuffled", 0, report({kC, kC})}});
  EXPECT_FALSE(main.layers[0].specific.has_value());
  ASSERT_EQ(comparison.controls.size(), 1u);
  EXPECT_TRUE(comparison.controls[0].transitions_in_both.empty());
  EXPECT_EQ(comparison.runs.size(), 2u);
}

TEST(RunComparison, OneOfSeveralIdentityControlsIsEnoughAgainstATransition) {
  for (const bool first : {true, false}) {
    GateReport main = report({kT});
    compare_runs(main, records(),
                 {{"a", "identity", 0, report({first ? kT : kC})}, {"b", "identity", 1, report({first ? kC : kT})}});
    EXPECT_EQ(main.layers[0].specific, false);
  }
}

TEST(RunComparison, GivesTheSpreadOfTauOverRunsWithoutControl) {
  GateReport main = report({kT, kD});
  GateReport second = report({kT, kD});
  second.layers[0].tau = 160;
  GateReport third = report({kC, kT});
  const RunComparison comparison = compare_runs(
      main, records(),
      {{"seed 1", "none", 1, second}, {"seed 2", "none", 2, third}, {"control", "identity", 0, report({kT, kT})}});
  ASSERT_EQ(comparison.spreads.size(), 3u);
  EXPECT_EQ(comparison.spreads[0].layer, -1);
  EXPECT_EQ(comparison.spreads[0].transitions, 2);
  const TauSpread& layer = comparison.spreads[1];
  EXPECT_EQ(layer.layer, 0);
  EXPECT_EQ(layer.runs, 3);
  EXPECT_EQ(layer.transitions, 2);
  EXPECT_EQ(layer.tau, (std::vector<std::int64_t>{100, 160}));
  EXPECT_EQ(layer.median, 130.0);
  EXPECT_EQ(layer.range, 60.0);
  EXPECT_EQ(comparison.spreads[2].tau, std::vector<std::int64_t>{200});
  EXPECT_EQ(comparison.spreads[2].range, 0.0);
}

TEST(RunComparison, AControlThatIsAnalysedItselfIsNotInTheSpread) {
  GateReport main = report({kT});
  const RunComparison comparison = compare_runs(main, records("identity"), {{"seed 1", "none", 1, report({kT})}});
  EXPECT_EQ(comparison.spreads[1].runs, 1);
  GateReport alone = report({kT});
  EXPECT_TRUE(compare_runs(alone, records("identity"), {}).spreads.empty());
}

TEST(RunComparison, RefusesRunsWithOtherLayers) {
  for (const GateReport& other : {report({kT}), report({kT, kT}, 5)}) {
    GateReport main = report({kT, kT});
    try {
      compare_runs(main, records(), {{"elsewhere", "identity", 0, other}});
      FAIL();
    } catch (const ShapeError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("main has layers 0 to 1"), std::string::npos) << message;
      EXPECT_NE(message.find("elsewhere has layers"), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace nkat::validation
