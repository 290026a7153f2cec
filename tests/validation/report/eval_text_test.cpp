#include "validation/report/eval_text.h"

#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/validation/report/example_results.h"

namespace nkat::validation {
namespace {

using namespace nkat::validation::testing;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(EvalText, ShowsSmallDivergencesAndTheSignOfAChange) {
  const std::string text = to_text(EvalResults{.held_out = paired_loss()});
  EXPECT_THAT(text, HasSubstr("held-out held-out.jsonl: 40 target tokens of 3 samples"));
  EXPECT_THAT(text, HasSubstr("-1.0000 [-1.2500, -0.7500] nats"));
  EXPECT_THAT(text, HasSubstr("0.0001235 [0.0001, 0.0002] nats per token from the base"));
}

TEST(EvalText, LeavesOutWhatWasNotMeasured) {
  const std::string text = to_text(EvalResults{.held_out = bare_loss()});
  EXPECT_THAT(text, HasSubstr("model         loss 2.0000 [1.5000, 2.5000] nats"));
  for (const char* word : {"base", "change", "KL", "gate", "general"}) EXPECT_THAT(text, Not(HasSubstr(word)));
}

TEST(EvalText, ShowsAnswersOfBothModelsAndTheConfusion) {
  DecisionScore score{.accuracy = paired_accuracy(), .macro_f1 = 0.7};
  score.confusion[2][0] = 61;
  const std::string text = to_text(EvalResults{.decision = DecisionFinding{.generated = {{"all", score}, {"", score}}},
                                               .math = MathFinding{.scores = {{"ja", paired_accuracy()}}}});
  EXPECT_THAT(text, HasSubstr("base 50.0 % (5 of 10) [20.0, 80.0]  with adapter 80.0 % (8 of 10) [50.0, 90.0]"));
  EXPECT_THAT(text, HasSubstr("gained 4, lost 1, McNemar p 0.38"));
  EXPECT_THAT(text, HasSubstr("DENY                  61"));
  EXPECT_THAT(text, HasSubstr("other"));
}

// Every number occurs once, so that none stands in for another.
class EvalSection : public ::testing::Test {
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
  static std::string markdown(const EvalResults& results) {
    Document document;
    add_eval_results(document, results);
    return to_markdown(document, "report.md");
  }

 private:
  double number_ = 100.0;
  std::int64_t count_ = 10'000;
};

// The report says at least what the screen says.
TEST_F(EvalSection, HoldsEveryFigureOfTheScreen) {
  const EvalResults results = full();
  const std::string screen = to_text(results);
  const std::string report = markdown(results);
  const std::regex figure("[0-9][0-9.]+");
  int figures = 0;
  for (auto match = std::sregex_iterator(screen.begin(), screen.end(), figure); match != std::sregex_iterator();
       ++match) {
    EXPECT_THAT(report, HasSubstr(match->str()));
    ++figures;
  }
  EXPECT_GT(figures, 150);
}

TEST_F(EvalSection, ShowsTheAnswersInAnyFormThatDecideTheReasoningCheck) {
  EvalResults results;
  results.math = MathFinding{.any_form = {.model = {.right = 3, .questions = 4, .interval = {0.3, 0.95}}}};
  EXPECT_THAT(markdown(results), HasSubstr("| all, the last number in any form | - | 75.0 % (3 of 4) [30.0, 95.0] |"));
}

TEST_F(EvalSection, SaysThatNothingWasMeasured) {
  EXPECT_THAT(markdown({}), HasSubstr("Not measured"));
  EXPECT_THAT(markdown({}), Not(HasSubstr("|")));
}

}  // namespace
}  // namespace nkat::validation
