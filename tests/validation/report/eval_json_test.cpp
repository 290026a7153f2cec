#include "validation/report/eval_json.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/validation/report/example_results.h"

namespace nkat::validation {
namespace {

using namespace nkat::validation::testing;
using ::testing::HasSubstr;

TEST(EvalJson, PutsTheHeldOutLossAtTheTop) {
  const auto json = to_json(EvalResults{.held_out = bare_loss()});
  EXPECT_EQ(json["tokens"], 40);
  EXPECT_EQ(json["loss"], 2.0);
  EXPECT_EQ(json["interval"], (nlohmann::ordered_json{1.5, 2.5}));
  EXPECT_EQ(json["perplexity"], 7.389);
  for (const char* key : {"base", "change", "kl", "general", "ablation", "decision", "math"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
}

TEST(EvalJson, HoldsBaseChangeAndDivergenceOfAnAdapter) {
  const auto json = to_json(EvalResults{.held_out = paired_loss(), .general = paired_loss()});
  EXPECT_EQ(json["base"]["loss"], 3.0);
  EXPECT_TRUE(json["base"]["perplexity_interval"].is_null());
  EXPECT_EQ(json["change"]["interval"][1], -0.75);
  EXPECT_EQ(json["kl"], 0.000123456);
  EXPECT_EQ(json["general"]["change"]["loss"], -1.0);
}

TEST(EvalJson, ListsTheAblatedLayers) {
  const auto json = to_json(EvalResults{.ablation = {{.layer = 4, .gate = 0.5, .loss_change = {.value = 0.25}}}});
  EXPECT_EQ(json.dump(), R"({"ablation":[{"layer":4,"gate":0.5,"loss_change":0.25,"interval":null}]})");
}

TEST(EvalJson, ALossThatOverflowsIsNull) {
  LossFinding finding = bare_loss();
  finding.perplexity.value = std::numeric_limits<double>::infinity();
  EXPECT_THAT(to_json(finding).dump(), HasSubstr(R"("perplexity":null)"));
}

TEST(EvalJson, HoldsAnswersOfBothModels) {
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

}  // namespace
}  // namespace nkat::validation
