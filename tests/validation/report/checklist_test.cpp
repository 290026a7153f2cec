#include "validation/report/checklist.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/validation/report/example_findings.h"

namespace nkat::validation {
namespace {

using testing::example_findings;
using ::testing::HasSubstr;

Check check_named(const Findings& findings, const std::string& name, const Thresholds& thresholds = {}) {
  const std::vector<Check> checks = make_checklist(findings, thresholds);
  const auto found = std::ranges::find(checks, name, &Check::name);
  EXPECT_NE(found, checks.end()) << name;
  return found == checks.end() ? Check{} : *found;
}

TEST(Checklist, HasOneLineForEachOfItsThirteenItems) { EXPECT_EQ(make_checklist(example_findings(), {}).size(), 13u); }

TEST(Checklist, FailsAnAlphaThatStartsElsewhereAndNamesIt) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "alpha starts near its initial value").status, CheckStatus::kPass);
  findings.run.metrics.front().alpha[2] = -4.9;
  const Check check = check_named(findings, "alpha starts near its initial value");
  EXPECT_EQ(check.status, CheckStatus::kFail);
  EXPECT_EQ(check.value, -4.9);
}

TEST(Checklist, FailsAnAlphaThatIsNotANumber) {
  Findings findings = example_findings();
  findings.run.metrics.front().alpha[0] = std::nan("");
  EXPECT_EQ(check_named(findings, "alpha starts near its initial value").status, CheckStatus::kFail);
}

TEST(Checklist, NeedsHalfOfTheLayersOpened) {
  Findings findings = example_findings();
  findings.gates.layers[0].opened_at.reset();
  findings.gates.layers[1].opened_at.reset();
  EXPECT_EQ(check_named(findings, "sigma(alpha) rises").status, CheckStatus::kPass);
  findings.gates.layers[2].opened_at.reset();
  EXPECT_EQ(check_named(findings, "sigma(alpha) rises").status, CheckStatus::kFail);
}

TEST(Checklist, FailsATimingThatIsTooWideOrTouchesTheEnds) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "timing of the transition").status, CheckStatus::kPass);
  for (const Interval wrong : {Interval{60, 101}, Interval{1, 20}, Interval{190, 200}}) {
    findings.gates.sum.tau_interval = wrong;
    EXPECT_EQ(check_named(findings, "timing of the transition").status, CheckStatus::kFail) << wrong.low;
  }
  findings.gates.sum.tau_interval.reset();
  EXPECT_EQ(check_named(findings, "timing of the transition").status, CheckStatus::kFail);
}

TEST(Checklist, JudgesTheTimingOfATransitionOnly) {
  Findings findings = example_findings();
  findings.gates.sum.verdict = Verdict::kInProgress;
  EXPECT_EQ(check_named(findings, "timing of the transition", {.tau_width = 1.0}).status, CheckStatus::kFail);
  findings.gates.sum.verdict = Verdict::kUnresolved;
  EXPECT_EQ(check_named(findings, "timing of the transition").status, CheckStatus::kNotMeasured);
}

TEST(Checklist, QuotesTheFolderInTheCommandsItNames) {
  Findings findings = example_findings();
  findings.run.folder = "my run's";
  findings.run.settings.model_path = "models/phi";
  EXPECT_EQ(check_named(findings, "reasoning gain").command,
            "nkat validate --checkpoint-dir 'my run'\\''s' --model-path models/phi --tasks math");
}

TEST(Checklist, TakesTheIntervalOfTheFinalLossFromTheSameStepOnly) {
  Findings findings = example_findings();
  findings.eval.held_out = LossFinding{};
  findings.eval.held_out->loss = Estimate{*findings.run.metrics.back().validation_loss, Interval{0.2, 0.4}};
  findings.eval.step = 150;
  EXPECT_FALSE(check_named(findings, "final loss").interval);
  findings.eval.step = 200;
  EXPECT_TRUE(check_named(findings, "final loss").interval);
}

TEST(Checklist, CallsAReasoningGainOneOnlyWhenItIsSignificant) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "reasoning gain").status, CheckStatus::kNotMeasured);
  EXPECT_THAT(check_named(findings, "reasoning gain").command, HasSubstr("--model-path"));
  findings.eval.math = MathFinding{};
  PairedAccuracy& score = findings.eval.math->scores["all"];
  score = {.model = {.right = 30, .questions = 100}, .base = Accuracy{.right = 20, .questions = 100}, .p = 0.04};
  findings.eval.math->any_form = score;
  EXPECT_EQ(check_named(findings, "reasoning gain").status, CheckStatus::kPass);
  score.p = 0.06;
  EXPECT_EQ(check_named(findings, "reasoning gain").status, CheckStatus::kFail);
  score.model.right = 10;
  score.p = 0.001;
  EXPECT_EQ(check_named(findings, "reasoning gain").status, CheckStatus::kFail);
}

TEST(Checklist, CallsAGainInFormAloneNoReasoningGain) {
  Findings findings = example_findings();
  findings.eval.math = MathFinding{};
  findings.eval.math->scores["all"] = {
      .model = {.right = 9, .questions = 200}, .base = Accuracy{.right = 0, .questions = 200}, .p = 0.004};
  findings.eval.math->any_form = {
      .model = {.right = 9, .questions = 200}, .base = Accuracy{.right = 6, .questions = 200}, .p = 0.58};
  EXPECT_EQ(check_named(findings, "reasoning gain").status, CheckStatus::kFail);
}

TEST(Checklist, NamesTheWorstRotationOfAllCheckpoints) {
  Findings findings = example_findings();
  findings.geometry[5].exact.determinant_max = 2e-6;
  const Check check = check_named(findings, "det R = 1");
  EXPECT_EQ(check.status, CheckStatus::kFail);
  EXPECT_THAT(check.note, HasSubstr("step 100, layer 1"));
  EXPECT_EQ(check_named(findings, "R^T R = I").status, CheckStatus::kPass);
}

TEST(Checklist, TakesTrialityFromTheLastCheckpointOnly) {
  Findings findings = example_findings();
  findings.geometry.front().exact.triality = 100;  // of step 0
  EXPECT_NEAR(*check_named(findings, "triality").value, 0.2, 1e-12);
}

TEST(Checklist, LeavesMemoryAndHoursUnmeasuredOnACpu) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "VRAM within the budget").status, CheckStatus::kNotMeasured);
  EXPECT_EQ(check_named(findings, "hours").status, CheckStatus::kNotMeasured);
  EXPECT_EQ(check_named(findings, "hours").note, "the run was not on a GPU");
  findings.run.settings.device = "";
  EXPECT_EQ(check_named(findings, "hours").note, "where the run was is not known");
  findings.run.settings.device = "cuda:0";
  findings.run.settings.vram_budget_gib = 11.5;
  findings.stability->peak_memory_bytes = 12ULL << 30;
  findings.stability->hours_planned = 11.0;
  EXPECT_EQ(check_named(findings, "VRAM within the budget").status, CheckStatus::kFail);
  EXPECT_EQ(check_named(findings, "hours").status, CheckStatus::kPass);
}

TEST(Checklist, JudgesTheLastValidationLoss) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "final loss").status, CheckStatus::kPass);
  EXPECT_EQ(check_named(findings, "final loss", {.final_loss = 0.3}).status, CheckStatus::kFail);
  for (data::StepMetrics& line : findings.run.metrics) line.validation_loss.reset();
  EXPECT_EQ(check_named(findings, "final loss").status, CheckStatus::kNotMeasured);
}

TEST(Checklist, JudgesTheChangeOnGeneralText) {
  Findings findings = example_findings();
  EXPECT_EQ(check_named(findings, "base language kept").status, CheckStatus::kNotMeasured);
  findings.eval.general = LossFinding{};
  findings.eval.general->change = Estimate{0.2, Interval{0.1, 0.3}};
  EXPECT_EQ(check_named(findings, "base language kept").status, CheckStatus::kFail);
  findings.eval.general->change = Estimate{-0.2, Interval{-0.3, -0.1}};
  EXPECT_EQ(check_named(findings, "base language kept").status, CheckStatus::kPass);
}

}  // namespace
}  // namespace nkat::validation
