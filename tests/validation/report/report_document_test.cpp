#include "validation/report/report_document.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"
#include "tests/validation/report/example_findings.h"
#include "validation/report/report_json.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using ::testing::AllOf;
using testing::checked_findings;
using testing::example_findings;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Report, OpensWithVerdictAndChecklist) {
  const Document document = make_report(checked_findings(), {});
  const std::string text = to_markdown(document, "report.md");
  EXPECT_LT(text.find("went through a transition"), text.find("## Checklist"));
  EXPECT_LT(text.find("## Checklist"), text.find("## Gates"));
  EXPECT_THAT(text, HasSubstr("| base language kept | - | <= +0.1 nats | not measured |"));
}

TEST(Report, ShowsTheGatesBeforeTheChecklistAndFoldsTheTables) {
  const TemporaryFolder folder;
  const fs::path image = folder.write("a.png", "PNG");
  const std::string html = to_html(
      make_report(checked_findings(), {{image, "transition", ""}, {image, "loss"}, {image, "layers", "Gates"}}), "t");
  std::vector<std::size_t> places;
  for (const char* mark : {"went through a transition", "<figcaption>transition<", "<h2>Checklist</h2>",
                           "<h2>Plots</h2>", "<figcaption>loss<", "<details><summary><h2>Gates</h2></summary>",
                           "<figcaption>layers<", "</details>", "<details><summary><h2>Geometry</h2></summary>"}) {
    places.push_back(html.find(mark));
    EXPECT_NE(places.back(), std::string::npos) << mark;
  }
  EXPECT_TRUE(std::ranges::is_sorted(places));
}

// A sentence for each control that is true in every case.
std::string report_of(const ControlResult& control) {
  Findings findings = example_findings();
  findings.comparison = RunComparison{.controls = {control}};
  return to_markdown(make_report(findings, {}), "report.md");
}

ControlResult identity() { return {.name = "c", .control = Control::kIdentity, .last_step = 60}; }

TEST(ControlSentence, SaysAbsentOnlyWhereNothingOfTheEffectIsThere) {
  ControlResult control = identity();
  control.only_here = {-1, 2};
  EXPECT_THAT(report_of(control), HasSubstr("Run c, control identity: the effect is absent: no transition there where "
                                            "this run has one (the sum, layer 2)."));
  control.only_there = {4};
  EXPECT_THAT(report_of(control), AllOf(HasSubstr("a transition here, none there: the sum, layer 2; a transition "
                                                  "there, none here: layer 4."),
                                        Not(HasSubstr("absent"))));
}

TEST(ControlSentence, SaysNotDecidedAndWhy) {
  ControlResult control = identity();
  control.not_decided = control.unresolved = {-1, 2};
  EXPECT_THAT(report_of(control), HasSubstr("whether the effect is absent is not decided for the sum, layer 2 "
                                            "(unresolved there: the sum, layer 2)."));
  control.unresolved = {};
  control.finished = false;
  EXPECT_THAT(report_of(control), HasSubstr("layer 2 (the control is not finished, it is at step 60)."));
  control.finished = true;
  control.only_here = {3};
  EXPECT_THAT(report_of(control), HasSubstr("layer 2 (the control ends at step 60); a transition here, none there: "
                                            "layer 3."));
}

TEST(ControlSentence, SaysNotAbsentWhereBothRunsHaveTheEffect) {
  ControlResult control = identity();
  control.in_both = {0};
  control.only_here = {1};
  control.only_there = {2};
  control.not_decided = control.unresolved = {3};
  EXPECT_THAT(report_of(control),
              HasSubstr("the effect is not absent, a transition in both runs: layer 0; here alone: layer 1; a "
                        "transition there, none here: layer 2; not decided: layer 3 (unresolved there: layer 3)."));
}

TEST(ControlSentence, SaysThatARunWithoutTheEffectGivesNothingToCompare) {
  EXPECT_THAT(report_of(identity()),
              AllOf(HasSubstr("nothing to compare, this run shows no transition."), Not(HasSubstr("absent"))));
  ControlResult control = identity();
  control.only_there = {1};
  control.unresolved = {2};
  EXPECT_THAT(report_of(control),
              HasSubstr("nothing to compare, this run shows no transition; a transition there, none "
                        "here: layer 1; unresolved there: layer 2."));
}

TEST(ControlSentence, SpeaksOfRisesWhereGatesCannotOpen) {
  ControlResult control = {.name = "f", .control = Control::kFrozenGates, .by_rise = true, .only_here = {0}};
  EXPECT_THAT(report_of(control), HasSubstr("Run f, control frozen-gates (its gates can't open, so rises of the force "
                                            "are compared): the effect is absent: no rise of the force there"));
}

TEST(ComparisonSection, LinesUpTheTauOfRunsThatHaveNone) {
  Findings findings = example_findings();
  findings.comparison =
      RunComparison{.runs = {{.name = "b", .control = Control::kNone}},
                    .spreads = {{.layer = -1, .tau = {std::nullopt, 80}, .transitions = 1, .median = 80}},
                    .spread_runs = {"a, seed 0", "b"}};
  const std::string text = to_markdown(make_report(findings, {}), "report.md");
  EXPECT_THAT(text, HasSubstr("| layer | transitions | tau, a, seed 0 | tau, b | median | range |"));
  EXPECT_THAT(text, HasSubstr("| sum | 1 of 2 | - | 80 | 80 | 0 |"));
  EXPECT_THAT(text, HasSubstr("this one first"));
  EXPECT_THAT(text, HasSubstr("| b | none | - | - |"));
  findings.comparison->spread_includes_main = false;
  EXPECT_THAT(to_markdown(make_report(findings, {}), "report.md"),
              HasSubstr("which this one, a control, is not part of"));
  const auto json = to_json(findings)["comparison"];
  EXPECT_EQ(json["tau"][0]["tau"].dump(), "[null,80]");
  EXPECT_TRUE(json["runs"][0]["seed"].is_null());
  EXPECT_EQ(json["tau_includes_this_run"], false);
}

}  // namespace
}  // namespace nkat::validation
