#include "validation/report/eval_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LossFinding bare_loss() {
  return {.file = "held-out.jsonl",
          .samples = 3,
          .tokens = 40,
          .loss = {.value = 2.0, .interval = Interval{1.5, 2.5}},
          .perplexity = {.value = 7.389, .interval = Interval{4.482, 12.182}}};
}

LossFinding paired_loss() {
  LossFinding finding = bare_loss();
  finding.base_loss = {.value = 3.0, .interval = Interval{2.5, 3.5}};
  finding.base_perplexity = {.value = 20.086};
  finding.change = {.value = -1.0, .interval = Interval{-1.25, -0.75}};
  finding.divergence = {.value = 0.000123456, .interval = Interval{0.0001, 0.0002}};
  return finding;
}

PairedAccuracy paired_accuracy() {
  return {.model = {.right = 8, .questions = 10, .interval = {0.5, 0.9}},
          .base = Accuracy{.right = 5, .questions = 10, .interval = {0.2, 0.8}},
          .gained = 4,
          .lost = 1,
          .p = 0.375};
}

TEST(GainJson, PutsTheHeldOutLossAtTheTop) {
  const auto json = to_json(EvalResults{.held_out = bare_loss()});
  EXPECT_EQ(json["tokens"], 40);
  EXPECT_EQ(json["loss"], 2.0);
  EXPECT_EQ(json["interval"], (nlohmann::ordered_json{1.5, 2.5}));
  EXPECT_EQ(json["perplexity"], 7.389);
  for (const char* key : {"base", "change", "kl", "general", "ablation", "decision", "math"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
}

TEST(GainJson, HoldsBaseChangeAndDivergenceOfAnAdapter) {
  const auto json = to_json(EvalResults{.held_out = paired_loss(), .general = paired_loss()});
  EXPECT_EQ(json["base"]["loss"], 3.0);
  EXPECT_TRUE(json["base"]["perplexity_interval"].is_null());
  EXPECT_EQ(json["change"]["interval"][1], -0.75);
  EXPECT_EQ(json["kl"], 0.000123456);
  EXPECT_EQ(json["general"]["change"]["loss"], -1.0);
}

TEST(GainJson, ListsTheAblatedLayers) {
  const auto json = to_json(EvalResults{.ablation = {{.layer = 4, .gate = 0.5, .loss_change = {.value = 0.25}}}});
  EXPECT_EQ(json.dump(), R"({"ablation":[{"layer":4,"gate":0.5,"loss_change":0.25,"interval":null}]})");
}

TEST(GainJson, ALossThatOverflowsIsNull) {
  LossFinding finding = bare_loss();
  finding.perplexity.value = std::numeric_limits<double>::infinity();
  EXPECT_THAT(to_json(finding).dump(), HasSubstr(R"("perplexity":null)"));
}

TEST(GainJson, HoldsAnswersOfBothModels) {
  DecisionScore score{.accuracy = paired_accuracy(), .macro_f1 = 0.7, .base_macro_f1 = 0.4};
  score.confusion[1][kUnparsed] = 6;
  score.base_confusion = score.confusion;
  const auto json = to_json(EvalResults{.decision = DecisionFinding{.generated = {{"ja", score}}},
                                        .math = MathFinding{.scores = {{"all", paired_accuracy()}}, .unparsed = 2}});
  EXPECT_EQ(json["decision"]["generated"]["ja"]["confusion"][1][4], 6);
  EXPECT_EQ(json["decision"]["generated"]["ja"]["base"]["macro_f1"], 0.4);
  EXPECT_EQ(json["decision"]["generated"]["ja"]["base"]["accuracy"], 0.5);
  EXPECT_EQ(json["math"]["scores"]["all"]["p"], 0.375);
  EXPECT_EQ(json["math"]["unparsed"], 2);
}

TEST(GainText, ShowsSmallDivergencesAndTheSignOfAChange) {
  const std::string text = to_text(EvalResults{.held_out = paired_loss()});
  EXPECT_THAT(text, HasSubstr("held-out held-out.jsonl: 40 target tokens of 3 samples"));
  EXPECT_THAT(text, HasSubstr("-1.0000 [-1.2500, -0.7500] nats"));
  EXPECT_THAT(text, HasSubstr("0.0001235 [0.0001, 0.0002] nats a token from the base"));
}

TEST(GainText, LeavesOutWhatWasNotMeasured) {
  const std::string text = to_text(EvalResults{.held_out = bare_loss()});
  EXPECT_THAT(text, HasSubstr("model         loss 2.0000 [1.5000, 2.5000] nats"));
  for (const char* word : {"base", "change", "KL", "gate", "general"}) EXPECT_THAT(text, Not(HasSubstr(word)));
}

TEST(GainText, ShowsAnswersOfBothModelsAndTheConfusion) {
  DecisionScore score{.accuracy = paired_accuracy(), .macro_f1 = 0.7};
  score.confusion[2][0] = 61;
  const std::string text = to_text(EvalResults{.decision = DecisionFinding{.generated = {{"all", score}, {"", score}}},
                                               .math = MathFinding{.scores = {{"ja", paired_accuracy()}}}});
  EXPECT_THAT(text, HasSubstr("base 50.0 % (5 of 10) [20.0, 80.0]  with adapter 80.0 % (8 of 10) [50.0, 90.0]"));
  EXPECT_THAT(text, HasSubstr("gained 4, lost 1, McNemar p 0.38"));
  EXPECT_THAT(text, HasSubstr("DENY                  61"));
  EXPECT_THAT(text, HasSubstr("other"));
}

}  // namespace
}  // namespace nkat::validation
