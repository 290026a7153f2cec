#include "validation/report/verdict_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/validation/report/example_findings.h"

namespace nkat::validation {
namespace {

using testing::checked_findings;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(VerdictText, SaysTauForATransition) {
  EXPECT_THAT(verdict_sentences(checked_findings()), HasSubstr("transition at step 80 (95 % interval 75 to 85)"));
}

TEST(VerdictText, SaysWhatWasNotSeenForClosedGates) {
  Findings findings = checked_findings();
  findings.gates.sum = GateFinding{};
  findings.gates.sum.smallest_step_seen = 0.25;
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("stayed shut"));
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("below 0.25 would not have been seen"));
}

TEST(VerdictText, SaysHowFarAlphaCouldMoveWhenAFinishedRunIsInProgress) {
  Findings findings = checked_findings();
  findings.gates.sum.verdict = Verdict::kInProgress;
  findings.gates.alpha_reach = 0.14;
  findings.gates.finished = true;
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("let alpha move by 0.14"));
  findings.gates.finished = false;
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("not finished"));
  findings.gates.finished.reset();
  EXPECT_THAT(verdict_sentences(findings), Not(HasSubstr("finished")));
  findings.run.settings.control = Control::kFrozenGates;
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("this control keeps them shut"));
}

TEST(VerdictText, NamesAControlThatShowsTheTransitionToo) {
  Findings findings = checked_findings();
  findings.comparison = RunComparison{};
  ControlResult control;
  control.name = "shuffled";
  control.in_both = {-1, 0, 2};
  findings.comparison->controls = {control};
  EXPECT_THAT(verdict_sentences(findings), HasSubstr("the control shuffled shows it, too, in 2 of these layers"));
}

TEST(VerdictText, CountsTheChecks) { EXPECT_THAT(verdict_sentences(checked_findings()), HasSubstr("Of 13 checks")); }

}  // namespace
}  // namespace nkat::validation
