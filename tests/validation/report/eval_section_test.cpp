// The report says of a gain at least what the screen says: every figure that to_text() prints is in the Markdown.
#include "validation/report/eval_section.h"

#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "validation/report/eval_text.h"

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Every number occurs once, so that none stands in for another.
class GainSection : public ::testing::Test {
 protected:
  double next() { return number_ += 1.0137; }
  std::int64_t count() { return count_ += 7; }
  Estimate estimate() { return {.value = next(), .interval = Interval{next(), next()}}; }
  LossFinding loss() {
    return {.file = "file.jsonl",
            .samples = count(),
            .tokens = count(),
            .loss = estimate(),
            .perplexity = estimate(),
            .base_loss = estimate(),
            .base_perplexity = estimate(),
            .change = estimate(),
            .divergence = estimate()};
  }
  Accuracy accuracy() { return {.right = count(), .questions = 100'000, .interval = {next() / 1000, next() / 1000}}; }
  PairedAccuracy pairs() {
    return {.model = accuracy(), .base = accuracy(), .gained = count(), .lost = count(), .p = next() / 1000};
  }
  Confusion confusion() {
    Confusion table = {};
    for (auto& row : table)
      for (std::int64_t& cell : row) cell = count();
    return table;
  }
  DecisionScore score() {
    return {.accuracy = pairs(),
            .confusion = confusion(),
            .macro_f1 = next() / 1000,
            .base_confusion = confusion(),
            .base_macro_f1 = next() / 1000};
  }
  EvalResults full() {
    return {
        .held_out = loss(),
        .general = loss(),
        .decision =
            DecisionFinding{.file = "labels.jsonl", .generated = {{"all", score()}}, .likelihood = {{"all", score()}}},
        .math = MathFinding{.file = "math.jsonl",
                            .scores = {{"all", pairs()}, {"geometry", pairs()}},
                            .unparsed = count(),
                            .base_unparsed = count(),
                            .unmarked_right = count(),
                            .base_unmarked_right = count(),
                            .any_form = pairs(),
                            .tokens_per_second = 4711.0},
        .ablation = {{.layer = count(), .gate = next() / 1000, .loss_change = estimate()}}};
  }
  static std::string markdown(const EvalResults& gain) {
    Document document;
    add_gain(document, gain);
    return to_markdown(document, "report.md");
  }

 private:
  double number_ = 100.0;
  std::int64_t count_ = 10'000;
};

TEST_F(GainSection, HoldsEveryFigureOfTheScreen) {
  const EvalResults gain = full();
  const std::string screen = to_text(gain);
  const std::string report = markdown(gain);
  const std::regex figure("[0-9][0-9.]+");
  int figures = 0;
  for (auto match = std::sregex_iterator(screen.begin(), screen.end(), figure); match != std::sregex_iterator();
       ++match) {
    EXPECT_THAT(report, HasSubstr(match->str()));
    ++figures;
  }
  EXPECT_GT(figures, 150);
}

TEST_F(GainSection, ShowsTheAnswersInAnyFormThatDecideTheReasoningCheck) {
  EvalResults gain;
  gain.math = MathFinding{.any_form = {.model = {.right = 3, .questions = 4, .interval = {0.3, 0.95}}}};
  EXPECT_THAT(markdown(gain), HasSubstr("| all, the last number in any form | - | 75.0 % (3 of 4) [30.0, 95.0] |"));
}

TEST_F(GainSection, SaysThatNothingWasMeasured) {
  EXPECT_THAT(markdown({}), HasSubstr("Not measured"));
  EXPECT_THAT(markdown({}), Not(HasSubstr("|")));
}

}  // namespace
}  // namespace nkat::validation
