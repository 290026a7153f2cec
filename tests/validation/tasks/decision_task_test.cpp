#include "validation/tasks/decision_task.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/file.h"
#include "tests/support/message_of.h"
#include "tests/validation/tasks/tiny_eval_model.h"
#include "validation/tasks/label_likelihood.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;
using namespace nkat::testing;

// Prefers to write DENY. With the opposite sign it writes ALLOW, whose letters are then likely as well; the likeliest
// label is the shortest, DENY, otherwise.
Preferences denying() {
  Preferences preferences = {{answer_id("DENY"), 1.0}, {answer_id("ALLOW"), -1.0}};
  for (const unsigned char letter : {'A', 'L', 'O', 'W'}) preferences[byte_id(letter)] = -0.5;
  return preferences;
}

class DecisionTaskTest : public QuestionTaskTest {
 protected:
  // Labels ALLOW, DENY and ALLOW.
  DecisionTaskTest()
      : QuestionTaskTest("d.jsonl", R"({"prompt":"hello","completion":"ALLOW","label":"ALLOW","language":"en"}
{"prompt":"hello","completion":"DENY","label":"DENY","language":"ja"}
{"prompt":"a","completion":"ALLOW","label":"ALLOW","language":"ja"}
)") {}
  DecisionFinding measure(const QuestionTaskOptions& options, const EvalModel& model) {
    EvalResults results;
    prepare_decision_task(options, inputs_)(model, results);
    return results.decision.value();
  }
};

TEST_F(DecisionTaskTest, PairsWrittenAndLikeliestLabelsOfBothModels) {
  const DecisionFinding found = measure(options(), preferring_model(folder_, denying(), opposite_blocks()));
  EXPECT_EQ(found.file, path("d.jsonl"));
  for (const auto& scores : {found.generated, found.likelihood}) {
    EXPECT_THAT(scores, ElementsAre(Key("all"), Key("en"), Key("ja")));
    const DecisionScore& all = scores.at("all");
    EXPECT_EQ(all.accuracy.model.right, 2);
    EXPECT_EQ(all.accuracy.base.value().right, 1);
    EXPECT_EQ(all.accuracy.gained, 2);
    EXPECT_EQ(all.accuracy.lost, 1);
    EXPECT_THAT(all.confusion[0], ElementsAre(2, 0, 0, 0, 0));
    EXPECT_THAT(all.confusion[2], ElementsAre(1, 0, 0, 0, 0));
    EXPECT_THAT(all.base_confusion.value()[0], ElementsAre(0, 0, 2, 0, 0));
    EXPECT_DOUBLE_EQ(all.macro_f1, (4.0 / 5 + 0) / 2);  // ALLOW: 2 hits, 1 false; DENY: 1 miss
    EXPECT_DOUBLE_EQ(all.base_macro_f1.value(), (0 + 2.0 / 4) / 2);
    EXPECT_EQ(scores.at("ja").accuracy.model.right, 1);
    EXPECT_EQ(scores.at("ja").accuracy.model.questions, 2);
  }
}

TEST_F(DecisionTaskTest, WritesEachAnswerAndWhatWasReadFromIt) {
  measure(options(), preferring_model(folder_, denying(), opposite_blocks()));
  std::istringstream file(read_file(path("answers.jsonl"), 10'000));
  std::vector<nlohmann::ordered_json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::ordered_json::parse(line));
  ASSERT_EQ(rows.size(), 3U);
  nlohmann::ordered_json& second = rows[1];
  EXPECT_EQ(second["where"], path("d.jsonl") + ":2");
  EXPECT_EQ(second["label"], "DENY");
  EXPECT_EQ(second["answer"], "ALLOW");
  EXPECT_EQ(second["read"], "ALLOW");
  EXPECT_EQ(second["likeliest"], "ALLOW");
  EXPECT_EQ(second["base"]["answer"], "DENY");
  const auto own = second["log_probabilities"].get<LabelScores>(),
             base = second["base"]["log_probabilities"].get<LabelScores>();
  EXPECT_GT(own[0], own[2]);
  EXPECT_LT(base[0], base[2]);
}

TEST_F(DecisionTaskTest, AnAnswerWithoutALabelIsUnparsedAndWrongAndWarnedOfInTheBase) {
  const Preferences greeting = {{tiny_id("\u2581hello"), 1.0}, {answer_id("ALLOW"), -1.0}};
  CaptureStderr();
  const DecisionFinding found = measure(options(), preferring_model(folder_, greeting, opposite_blocks()));
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("3 of 3 answers of the bare model name no label"));
  const DecisionScore& all = found.generated.at("all");
  EXPECT_EQ(all.accuracy.base.value().right, 0);
  EXPECT_EQ(all.base_confusion.value()[0][kUnparsed], 2);
  EXPECT_EQ(all.base_confusion.value()[2][kUnparsed], 1);
  EXPECT_EQ(all.accuracy.gained, 2);
  EXPECT_EQ(found.likelihood.at("all").base_confusion.value()[0][kUnparsed], 0);
}

TEST_F(DecisionTaskTest, ABareModelHasNoPairsAndNoWarning) {
  CaptureStderr();
  const DecisionFinding found = measure(options(), preferring_model(folder_, {{tiny_id("\u2581hello"), 1.0}}, {}));
  EXPECT_THAT(GetCapturedStderr(), Not(HasSubstr("name no label")));
  EXPECT_FALSE(found.generated.at("all").accuracy.base.has_value());
  EXPECT_FALSE(found.generated.at("all").base_confusion.has_value());
  EXPECT_EQ(found.generated.at("all").confusion[0][kUnparsed], 2);
  EXPECT_EQ(found.likelihood.at("all").accuracy.model.right, 1);
}

TEST_F(DecisionTaskTest, IsLeftOutForFilesWithoutLabelsWhereTheyAreNotRequired) {
  folder_.write("none.jsonl", R"({"text":"hello hello"})");
  const QuestionTaskOptions none{.files = {path("none.jsonl")}};
  EXPECT_FALSE(prepare_decision_task_if_labeled(none, inputs_).has_value());
  EXPECT_THAT(message_of<DataError>([&] { prepare_decision_task(none, inputs_); }),
              HasSubstr("none.jsonl: no question of this task"));
  QuestionTaskOptions two = options();
  two.questions = 2;
  EvalResults results;
  prepare_decision_task_if_labeled(two, inputs_).value()(preferring_model(folder_, denying(), {}), results);
  EXPECT_EQ(results.decision.value().generated.at("all").accuracy.model.questions, 2);
}

TEST_F(DecisionTaskTest, GeneratesQuestionsWithoutFilesAndNamesOneThatDoesNotFit) {
  EXPECT_THAT(message_of<DataError>([&] { prepare_decision_task({.questions = 4}, inputs_); }),
              HasSubstr("generated question 1: the prompt has"));
}

}  // namespace
}  // namespace nkat::validation
