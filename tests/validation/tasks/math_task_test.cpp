#include "validation/tasks/math_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files/file.h"
#include "tests/support/message_of.h"
#include "tests/validation/tasks/tiny_eval_model.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;
using namespace nkat::testing;

// The bare model says "7" and, with the opposite sign, "#### 7"; and the other way round.
Preferences unmarked() { return {{answer_id("\u25817"), 1.0}, {answer_id("####\u25817"), -1.0}}; }
Preferences marked() { return {{answer_id("\u25817"), -1.0}, {answer_id("####\u25817"), 1.0}}; }

class MathTaskTest : public QuestionTaskTest {
 protected:
  // Two answers are 7, the third is 8.
  MathTaskTest()
      : QuestionTaskTest("m.jsonl", R"({"question":"hello","answer":"#### 7","language":"en","kind":"arithmetic"}
{"question":"a","answer":"#### 7.0","language":"ja","kind":"geometry"}
{"question":"hello","answer":"#### 8","language":"en","kind":"arithmetic"}
)") {}
  MathFinding measure(const QuestionTaskOptions& options, const EvalModel& model) {
    EvalResults results;
    prepare_math_task(options, inputs_)(model, results);
    return results.math.value();
  }
};

TEST_F(MathTaskTest, ARightNumberWithoutItsMarkIsWrongButNoGainInReasoning) {
  CaptureStderr();
  const MathFinding found = measure(options(), preferring_model(folder_, unmarked(), opposite_blocks()));
  const std::string said = GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("3 of 3 answers of the bare model don't give their number in the form asked for"));
  EXPECT_THAT(said, HasSubstr("2 of them end in the right one"));
  EXPECT_EQ(found.file, path("m.jsonl"));
  EXPECT_THAT(found.scores, ElementsAre(Key("all"), Key("arithmetic"), Key("en"), Key("geometry"), Key("ja")));
  const PairedAccuracy& all = found.scores.at("all");
  EXPECT_EQ(all.model.right, 2);
  EXPECT_EQ(all.base.value().right, 0);
  EXPECT_EQ(all.gained, 2);
  EXPECT_EQ(found.scores.at("en").model.right, 1);
  EXPECT_EQ(found.scores.at("en").model.questions, 2);
  EXPECT_EQ(found.unparsed, 0);
  EXPECT_EQ(found.base_unparsed, 3);
  EXPECT_EQ(found.base_unmarked_right, 2);
  EXPECT_EQ(found.any_form.base.value().right, 2);
  EXPECT_EQ(found.any_form.gained, 0);
  EXPECT_GT(found.tokens_per_second, 0);
}

TEST_F(MathTaskTest, AnAdapterThatLosesTheMarkLosesTheQuestions) {
  CaptureStderr();
  const MathFinding found = measure(options(), preferring_model(folder_, marked(), opposite_blocks()));
  EXPECT_THAT(GetCapturedStderr(), Not(HasSubstr("gain in form")));
  EXPECT_EQ(found.scores.at("all").lost, 2);
  EXPECT_EQ(found.unparsed, 3);
  EXPECT_EQ(found.unmarked_right, 2);
  EXPECT_EQ(found.base_unparsed, 0);
  EXPECT_EQ(found.any_form.lost, 0);
}

TEST_F(MathTaskTest, WritesEachAnswerAndTheNumberReadFromIt) {
  measure(options(), preferring_model(folder_, unmarked(), opposite_blocks()));
  const std::string text = read_file(path("answers.jsonl"), 10'000);
  EXPECT_THAT(text, HasSubstr(R"(m.jsonl:1","result":"7","answer":"#### 7","read":"7","right":true,)"
                              R"("base":{"answer":"7","read":null,"right":false}})"));
  EXPECT_THAT(text, HasSubstr(R"(m.jsonl:3","result":"8","answer":"#### 7","read":"7","right":false,)"));
}

TEST_F(MathTaskTest, ABareModelHasNoPairsAndNoWarning) {
  CaptureStderr();
  const MathFinding found = measure(options(), preferring_model(folder_, unmarked(), {}));
  EXPECT_THAT(GetCapturedStderr(), Not(HasSubstr("gain in form")));
  EXPECT_FALSE(found.scores.at("all").base.has_value());
  EXPECT_FALSE(found.any_form.base.has_value());
  EXPECT_EQ(found.unparsed, 3);
  EXPECT_EQ(found.any_form.model.right, 2);
}

TEST_F(MathTaskTest, TakesTheFirstQuestionsAndLeavesOutBadRecordsUpToTheLimit) {
  folder_.write("m.jsonl", R"({"question":"hello","answer":"seven"}
{"question":"hello","answer":"#### 7"}
{"question":"hello","answer":"#### 7"}
)");
  QuestionTaskOptions given = options();
  EXPECT_THAT(message_of([&] { prepare_math_task(given, inputs_); }), HasSubstr("m.jsonl:1: the answer has no number"));
  given.max_bad_records = 1;
  const EvalModel model = preferring_model(folder_, marked(), {});
  EXPECT_EQ(measure(given, model).scores.at("all").model.questions, 2);
  given.questions = 1;
  EXPECT_EQ(measure(given, model).scores.at("all").model.questions, 1);
}

TEST_F(MathTaskTest, TheSuffixIsPartOfThePrompt) {
  QuestionTaskOptions given = options();
  given.question_suffix = std::string(60, 'a');
  EXPECT_THAT(message_of<DataError>([&] { prepare_math_task(given, inputs_); }),
              HasSubstr("m.jsonl:1: the prompt has"));
}

TEST_F(MathTaskTest, GeneratesQuestionsWithoutFilesAndNamesOneThatDoesNotFit) {
  EXPECT_THAT(message_of<DataError>([&] { prepare_math_task({.questions = 4}, inputs_); }),
              HasSubstr("generated question 1: the prompt has"));
}

}  // namespace
}  // namespace nkat::validation
