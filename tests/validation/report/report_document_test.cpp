#include "validation/report/report_document.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/validation/report/example_findings.h"
#include "validation/report/checklist.h"
#include "validation/report/plots.h"
#include "validation/report/report_json.h"
#include "validation/report/verdict_text.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using testing::example_findings;
using ::testing::HasSubstr;
using ::testing::Not;

Findings checked_findings() {
  Findings findings = example_findings();
  findings.checks = make_checklist(findings, {});
  return findings;
}

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
  findings.run.settings.control = "frozen-gates";
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

TEST(ReportJson, HoldsTheKeysOfTheContract) {
  const auto json = to_json(checked_findings());
  for (const char* key :
       {"verdict", "tau", "tau_interval", "layers_by_verdict", "crossings", "max_susceptibility_step"})
    EXPECT_TRUE(json["run"].contains(key)) << key;
  for (const char* key :
       {"layer", "verdict", "specific", "reclosed", "shape", "tau", "tau_interval", "sign_change",
        "sign_change_interval", "levels", "opened_at", "gate_first", "gate_max", "gate_last", "smallest_step_seen"})
    EXPECT_TRUE(json["layers"][0].contains(key)) << key;
  for (const char* key : {"step", "layer", "orthogonality_max", "orthogonality_mean", "determinant_max", "angle_max",
                          "norm_max", "triality", "bf16"})
    EXPECT_TRUE(json["geometry"][0].contains(key)) << key;
  for (const char* key : {"name", "value", "interval", "threshold", "status"})
    EXPECT_TRUE(json["checks"][0].contains(key)) << key;
  EXPECT_EQ(json["run"]["crossings"]["0.05"], 100);
  EXPECT_TRUE(json["run"]["crossings"]["0.5"].is_null());
  EXPECT_EQ(json["layers"][1]["levels"][1]["from"], 80);
  EXPECT_FALSE(json["sum"].contains("layer"));
}

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

TEST(Report, ClosesEveryFold) {
  const Document document = {Heading{2, "a", true}, Heading{3, "b"}, Heading{2, "c"}, Heading{2, "d", true}};
  EXPECT_THAT(to_html(document, "t"),
              HasSubstr("<details><summary><h2>a</h2></summary>\n<h3>b</h3>\n</details>\n<h2>c</h2>\n"
                        "<details><summary><h2>d</h2></summary>\n</details>\n</body>"));
}

TEST(Report, GivesAStatusASignAColorAndItsColumnsName) {
  const std::string html =
      to_html({Table{{"what", "status"}, {{"x", "pass"}, {"y", "fail"}, {"z", "not measured"}}}}, "t");
  EXPECT_THAT(
      html,
      HasSubstr("<td data-column=\"status\" class=\"pass\"><span><b aria-hidden=\"true\">\u2713</b> pass</span>"));
  EXPECT_THAT(html, HasSubstr("class=\"fail\"><span><b aria-hidden=\"true\">\u2717</b> fail</span>"));
  EXPECT_THAT(html, HasSubstr("class=\"open\"><span><b aria-hidden=\"true\">\u2013</b> not measured</span>"));
  EXPECT_THAT(html, HasSubstr("<td data-column=\"what\"><span>x</span></td>"));
}

TEST(Report, ShortensHashesInHtmlAlone) {
  const std::string hash(64, 'a');
  const Document document = {Paragraph{"hash " + hash + " of <x>, not " + hash + "a"}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("<p>hash <code title=\"" + hash +
                                                "\">aaaaaaaaaaaa</code> of &lt;x&gt;, not " + hash + "a</p>"));
  EXPECT_THAT(to_markdown(document, "r.md"), HasSubstr(hash + " of"));
}

TEST(Report, EscapesWhatHtmlAndTablesWouldRead) {
  const Document document = {Heading{2, "a < b & c"}, Table{{"x|y"}, {{"<script>"}}}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(to_html(document, "t"), Not(HasSubstr("<script>")));
  EXPECT_THAT(to_markdown(document, "r.md"), HasSubstr("x\\|y"));
}

TEST(Report, EmbedsImagesInHtmlAndLinksThemInMarkdown) {
  const TemporaryFolder folder;
  folder.write("a.png", "PNG");
  const Document document = {Image{folder.path() / "a.png", "caption"}};
  EXPECT_THAT(to_html(document, "t"), HasSubstr("base64,UE5H"));
  EXPECT_THAT(to_markdown(document, folder.path() / "report.md"), HasSubstr("](<a.png>)"));
  EXPECT_THROW(to_html({Image{folder.path() / "missing.png", ""}}, "t"), DataError);
}

TEST(Plots, DrawsEveryPlotOfARun) {
  const TemporaryFolder folder;
  const Findings findings = checked_findings();
  EXPECT_TRUE(plot_phase_transition(findings, folder.path() / "it's.png"));
  const std::vector<Image> images = draw_plots(findings, folder.path() / "plots");
  ASSERT_EQ(images.size(), 6u);
  for (const Image& image : images) EXPECT_EQ(read_file(image.path, 1 << 20).substr(1, 3), "PNG") << image.path;
}

TEST(Plots, LeavesOutWhatARunOfForcesAloneDoesNotHave) {
  const TemporaryFolder folder;
  Findings findings = checked_findings();
  findings.stability.reset();
  findings.geometry.clear();
  EXPECT_EQ(draw_plots(findings, folder.path()).size(), 2u);
}

}  // namespace
}  // namespace nkat::validation
