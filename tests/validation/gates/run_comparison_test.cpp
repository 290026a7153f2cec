#include "validation/gates/run_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;

using ::testing::ElementsAre;

GateResults report(const std::vector<Verdict>& layers, std::int64_t first_layer = 0) {
  GateResults report;
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

RunRecords records(Control control = Control::kNone) {
  RunRecords run;
  run.name = "main";
  run.settings.control = control;
  return run;
}

constexpr Verdict kT = Verdict::kTransition;
constexpr Verdict kD = Verdict::kDrift;
constexpr Verdict kC = Verdict::kClosed;
constexpr Verdict kI = Verdict::kInProgress;
constexpr Verdict kU = Verdict::kUnresolved;

TEST(RunComparison, ATransitionIsSpecificIfTheIdentityControlHasNone) {
  GateResults main = report({kT, kT, kD, kC});
  const RunComparison comparison =
      compare_runs(main, records(), {{"control", Control::kIdentity, 0, report({kD, kT, kT, kC})}});
  EXPECT_EQ(main.layers[0].specific, true);
  EXPECT_EQ(main.layers[1].specific, false);
  EXPECT_FALSE(main.layers[2].specific.has_value());
  EXPECT_FALSE(main.layers[3].specific.has_value());
  EXPECT_EQ(main.sum.specific, true);
  ASSERT_EQ(comparison.controls.size(), 1u);
  EXPECT_EQ(comparison.controls[0].name, "control");
  EXPECT_THAT(comparison.controls[0].in_both, ElementsAre(1));
  EXPECT_THAT(comparison.controls[0].only_here, ElementsAre(-1, 0));
  EXPECT_THAT(comparison.controls[0].only_there, ElementsAre(2));
  EXPECT_TRUE(comparison.controls[0].decided());
}

TEST(RunComparison, OtherControlsAndSeedsSayNothingAboutSpecificity) {
  GateResults main = report({kT, kT});
  const RunComparison comparison = compare_runs(
      main, records(),
      {{"seed 1", Control::kNone, 1, report({kT, kC})}, {"shuffled", Control::kShuffled, 0, report({kC, kC})}});
  EXPECT_FALSE(main.layers[0].specific.has_value());
  ASSERT_EQ(comparison.controls.size(), 1u);
  EXPECT_TRUE(comparison.controls[0].in_both.empty());
  EXPECT_EQ(comparison.runs.size(), 2u);
}

TEST(RunComparison, OneOfSeveralIdentityControlsIsEnoughAgainstATransition) {
  for (const bool first : {true, false}) {
    GateResults main = report({kT});
    compare_runs(main, records(),
                 {{"a", Control::kIdentity, 0, report({first ? kT : kC})},
                  {"b", Control::kIdentity, 1, report({first ? kC : kT})}});
    EXPECT_EQ(main.layers[0].specific, false);
  }
}

TEST(RunComparison, AnIdentityControlThatIsUnresolvedDecidesNothing) {
  GateResults main = report({kT, kT, kT});
  const RunComparison comparison =
      compare_runs(main, records(), {{"control", Control::kIdentity, 0, report({kC, kU, kT})}});
  EXPECT_EQ(main.layers[0].specific, true);
  EXPECT_FALSE(main.layers[1].specific.has_value());
  EXPECT_EQ(main.layers[2].specific, false);
  const ControlResult& control = comparison.controls[0];
  EXPECT_FALSE(control.decided());
  EXPECT_THAT(control.not_decided, ElementsAre(1));
  EXPECT_THAT(control.unresolved, ElementsAre(1));
}

TEST(RunComparison, AnUnfinishedControlDecidesOnlyWhatItAlreadyShows) {
  GateResults main = report({kT, kT});
  GateResults control = report({kC, kT});
  control.finished = false;
  const RunComparison comparison = compare_runs(main, records(), {{"control", Control::kIdentity, 0, control}});
  EXPECT_FALSE(main.layers[0].specific.has_value());
  EXPECT_EQ(main.layers[1].specific, false);
  EXPECT_THAT(comparison.controls[0].not_decided, ElementsAre(-1, 0));
}

TEST(RunComparison, AControlThatEndsBeforeTheGateOpenedDecidesNothingAboutIt) {
  GateResults main = report({kT, kT});
  main.layers[0].opened_at = 150;
  main.layers[1].opened_at = 250;
  GateResults control = report({kC, kC});
  for (std::int64_t step = 1; step <= 200; ++step) control.steps.push_back(step);
  compare_runs(main, records(), {{"control", Control::kIdentity, 0, control}});
  EXPECT_EQ(main.layers[0].specific, true);
  EXPECT_FALSE(main.layers[1].specific.has_value());
}

TEST(RunComparison, OneOpenIdentityControlLeavesSpecificityOpenUnlessAnotherHasTheTransition) {
  for (const Verdict other : {kC, kT}) {
    GateResults main = report({kT});
    compare_runs(main, records(),
                 {{"a", Control::kIdentity, 0, report({kU})}, {"b", Control::kIdentity, 1, report({other})}});
    EXPECT_EQ(main.layers[0].specific, other == kT ? std::optional(false) : std::nullopt);
  }
}

TEST(RunComparison, OfFrozenGatesTheRisesAreCompared) {
  GateResults main = report({kT, kT, kC});
  GateResults frozen = report({kI, kC, kI});
  frozen.layers[0].tau = 90;
  frozen.layers[2].tau = 40;
  frozen.steps = {300};
  const ControlResult control =
      compare_runs(main, records(), {{"frozen", Control::kFrozenGates, 0, frozen}}).controls[0];
  EXPECT_TRUE(control.by_rise);
  EXPECT_THAT(control.in_both, ElementsAre(0));
  EXPECT_THAT(control.only_here, ElementsAre(1));
  EXPECT_THAT(control.only_there, ElementsAre(2));
}

TEST(RunComparison, OfAControlItselfNothingIsSpecific) {
  GateResults main = report({kT});
  compare_runs(main, records(Control::kShuffled), {{"control", Control::kIdentity, 0, report({kC})}});
  EXPECT_FALSE(main.layers[0].specific.has_value());
}

TEST(RunComparison, GivesTheSpreadOfTauOverRunsWithoutControl) {
  GateResults main = report({kT, kD});
  GateResults second = report({kT, kD});
  second.layers[0].tau = 160;
  GateResults third = report({kC, kT});
  const RunComparison comparison = compare_runs(main, records(),
                                                {{"seed 1", Control::kNone, 1, second},
                                                 {"seed 2", Control::kNone, 2, third},
                                                 {"control", Control::kIdentity, 0, report({kT, kT})}});
  ASSERT_EQ(comparison.spreads.size(), 3u);
  EXPECT_EQ(comparison.spreads[0].layer, -1);
  EXPECT_EQ(comparison.spreads[0].transitions, 2);
  const TauSpread& layer = comparison.spreads[1];
  EXPECT_EQ(layer.layer, 0);
  EXPECT_EQ(layer.transitions, 2);
  EXPECT_THAT(layer.tau, ElementsAre(100, 160, std::nullopt));
  EXPECT_EQ(layer.median, 130.0);
  EXPECT_EQ(layer.range, 60.0);
  EXPECT_THAT(comparison.spreads[2].tau, ElementsAre(std::nullopt, std::nullopt, 200));
  EXPECT_EQ(comparison.spreads[2].range, 0.0);
  EXPECT_THAT(comparison.spread_runs, ElementsAre("main", "seed 1, seed 1", "seed 2, seed 2"));
  EXPECT_TRUE(comparison.spread_includes_main);
}

TEST(RunComparison, ARiseThatHasNotOpenedItsGateIsNotInTheSpread) {
  GateResults main = report({kT});
  GateResults other = report({kI});
  other.layers[0].tau = 150;
  const TauSpread spread = compare_runs(main, records(), {{"seed 1", Control::kNone, 1, other}}).spreads[1];
  EXPECT_THAT(spread.tau, ElementsAre(100, std::nullopt));
  EXPECT_EQ(spread.median, 100.0);
}

TEST(RunComparison, AControlThatIsAnalyzedItselfIsNotInTheSpread) {
  GateResults main = report({kT});
  const RunComparison comparison =
      compare_runs(main, records(Control::kIdentity), {{"seed 1", Control::kNone, 1, report({kT})}});
  EXPECT_THAT(comparison.spreads[1].tau, ElementsAre(100));
  EXPECT_FALSE(comparison.spread_includes_main);
  GateResults alone = report({kT});
  EXPECT_TRUE(compare_runs(alone, records(Control::kIdentity), {}).spreads.empty());
}

TEST(RunComparison, RefusesRunsWithOtherLayers) {
  for (const GateResults& other : {report({kT}), report({kT, kT}, 5)}) {
    GateResults main = report({kT, kT});
    const std::string message = nkat::testing::message_of<ShapeError>([&] {
      compare_runs(main, records(), {{"elsewhere", Control::kIdentity, 0, other}});
    });
    EXPECT_THAT(message, HasSubstr("main has layers 0 to 1"));
    EXPECT_THAT(message, HasSubstr("elsewhere has layers"));
  }
}

}  // namespace
}  // namespace nkat::validation
