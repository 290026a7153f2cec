#include "validation/questions/question.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/datasets/record.h"
#include "tests/support/temporary_folder.h"

namespace nkat::validation {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class QuestionFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text) {
    folder_.write("questions.jsonl", text);
    return (folder_.path() / "questions.jsonl").string();
  }
  testing::TemporaryFolder folder_;
};

constexpr const char* kGsm8k = R"({"question":"How many?","answer":"3 + 4 = 7\n#### 7"})";
constexpr const char* kDecision =
    R"({"messages":[{"role":"user","content":"May I?"},{"role":"assistant","content":"Decision: DENY\nReason: no"}],"label":"DENY","task":"decision","language":"en"})";
constexpr const char* kMath =
    R"({"messages":[{"role":"system","content":"Solve."},{"role":"user","content":"3+4?"},{"role":"assistant","content":"# 最終回答\n7"}],"task":"math","language":"ja","kind":"arithmetic"})";

TEST_F(QuestionFile, AGsm8kLineIsOneUserTurnAndItsNumber) {
  const auto set = read_math_questions({write(fmt::format("{}\n", kGsm8k))});
  ASSERT_EQ(set.questions.size(), 1u);
  const MathQuestion& one = set.questions[0];
  ASSERT_EQ(one.question.turns.size(), 1u);
  EXPECT_EQ(one.question.turns[0].role, data::Role::kUser);
  EXPECT_EQ(one.question.turns[0].content, "How many?");
  EXPECT_EQ(one.result.text(), "7");
  EXPECT_THAT(one.question.where, HasSubstr("questions.jsonl:1"));
}

TEST_F(QuestionFile, ASuffixStandsBelowAGsm8kQuestionAlone) {
  const auto set = read_math_questions({write(fmt::format("{}\n{}\n", kGsm8k, kMath))}, {}, "End with ####.");
  EXPECT_EQ(set.questions[0].question.turns[0].content, "How many?\nEnd with ####.");
  EXPECT_EQ(set.questions[1].question.turns.back().content, "3+4?");
}

TEST_F(QuestionFile, RecordsLoseTheirAnswerAndKeepLanguageAndKind) {
  const std::string file = write(fmt::format("\n{}\n{}\n{}", kMath, kDecision, kGsm8k));
  const auto math = read_math_questions({file});
  ASSERT_EQ(math.questions.size(), 2u);
  EXPECT_EQ(math.questions[0].question.turns.size(), 2u);
  EXPECT_EQ(math.questions[0].question.language, "ja");
  EXPECT_EQ(math.questions[0].kind, "arithmetic");
  EXPECT_EQ(math.questions[1].question.language, "");
  EXPECT_EQ(read_math_questions({file, file}, {.questions = 3}).questions.size(), 3u);
  const std::string decision_file = write(fmt::format("{}\n{}", kMath, kDecision));
  const auto decisions = read_decision_questions({decision_file});
  ASSERT_EQ(decisions.questions.size(), 1u);
  EXPECT_EQ(data::kFourClasses[decisions.questions[0].label], "DENY");
  EXPECT_EQ(decisions.questions[0].answer, "Decision: DENY\nReason: no");
  EXPECT_EQ(decisions.questions[0].question.turns.size(), 1u);
}

TEST_F(QuestionFile, DamagedMathLinesAreNamedWithTheirPlace) {
  const std::vector<std::pair<std::string, std::string>> damaged = {
      {R"({"question":"q","answer":"7"})", "####"},
      {R"({"question":"q","answer":"#### seven"})", "####"},
      {R"({"question":"q","answer":"#### 7 or 8"})", "####"},
      {R"({"question":"q","answer":""})", "key 'answer': expected a string that is not empty, found \"\""},
      {R"({"question":"","answer":"#### 7"})", "key 'question': expected a string that is not empty, found \"\""},
      {R"({"question":7,"answer":"#### 7"})", "key 'question': expected a string that is not empty, found 7"},
      {R"({"question":"q","answer":7})", "key 'answer': expected a string that is not empty, found 7"},
      {R"({"question":"q","answer":null})", "key 'answer': expected a string that is not empty, found null"},
      {R"({"question":"q"})", "keys question"},
      {R"({"answer":"#### 7"})", "keys answer"},
      {R"(["q"])", "expected a JSON object"},
      {R"({"question":"q","answer":"#### 7")", "questions.jsonl:2"},
      {R"({"question":"q","question":"r","answer":"#### 7"})", "questions.jsonl:2"},
      {R"(question)", "questions.jsonl:2"},
      {"{\"question\":\"\xff\",\"answer\":\"#### 7\"}", "UTF-8"},
      {R"({"prompt":"q","completion":"seven"})", "####"},
      {R"({"text":"only text #### 7"})", "####"},
      {R"({"messages":[{"role":"assistant","content":"#### 7"}]})",
       "expected a message before the answer, found none"}};
  for (const auto& [line, message] : damaged) {
    const std::string file = write(fmt::format("{}\n{}\n{}\n", kGsm8k, line, kGsm8k));
    EXPECT_THAT([&] { read_math_questions({file}); },
                ThrowsMessage<Error>(AllOf(HasSubstr("questions.jsonl:2"), HasSubstr(message))))
        << line;
    try {
      read_math_questions({file});
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kInput) << line;
    }
  }
}

TEST_F(QuestionFile, AsManyBadRecordsAsAllowedAreLeftOut) {
  const std::string file = write(fmt::format("{0}\n{{broken\n{0}\n{{\"question\":\"\\xff\"}}\n{0}\n", kGsm8k));
  EXPECT_EQ(read_math_questions({file}, {.bad_records = 2}).questions.size(), 3u);
  EXPECT_EQ(read_math_questions({file}, {.questions = 2, .bad_records = 1}).questions.size(), 2u);
  EXPECT_THAT([&] { read_math_questions({file}, {.bad_records = 1}); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("2 bad records, at most 1"), HasSubstr("questions.jsonl:4"))));
  EXPECT_THAT([&] { read_math_questions({file}); }, ThrowsMessage<DataError>(HasSubstr("--max-bad-records N")));
  EXPECT_THAT(
      [&] {
        read_math_questions({file, file}, {.bad_records = 3});
      },
      ThrowsMessage<DataError>(HasSubstr("4 bad records")));
  const std::string decisions = write(fmt::format("{}\n{{\"label\":\"MAYBE\"}}\n", kDecision));
  EXPECT_EQ(read_decision_questions({decisions}, {.bad_records = 1}).questions.size(), 1u);
}

TEST_F(QuestionFile, AFileWithoutQuestionsOfTheTaskIsRefused) {
  EXPECT_THAT([&] { read_math_questions({write(kDecision)}); }, ThrowsMessage<DataError>(HasSubstr("no question")));
  EXPECT_THAT([&] { read_decision_questions({write(kMath)}); }, ThrowsMessage<DataError>(HasSubstr("ESCALATION")));
  EXPECT_THAT([&] { read_math_questions({write("")}); }, ThrowsMessage<DataError>(HasSubstr("no question")));
  EXPECT_THAT([&] { read_math_questions({"absent.jsonl"}); }, ThrowsMessage<DataError>(HasSubstr("absent.jsonl")));
  EXPECT_THAT([&] { read_decision_questions({write(R"({"text":"a","label":"DENY"})")}); },
              ThrowsMessage<DataError>(HasSubstr("plain text")));
}

TEST_F(QuestionFile, AFileWithoutQuestionsOfTheTaskMayBeAllowed) {
  const QuestionLimits limits{.at_least_one = false};
  EXPECT_TRUE(read_decision_questions({write(kMath)}, limits).questions.empty());
  EXPECT_EQ(read_decision_questions({write(kDecision)}, limits).questions.size(), 1u);
}

TEST(GeneratedQuestions, AreOfBothLanguagesAndAllLabelsAndWithoutTheirAnswers) {
  std::set<std::string> languages, kinds;
  std::array<int, 4> labels = {};
  for (const MathQuestion& one : generate_math_questions(200).questions) {
    languages.insert(one.question.language);
    kinds.insert(one.kind);
    EXPECT_EQ(one.question.turns.back().role, data::Role::kUser);
  }
  for (const DecisionQuestion& one : generate_decision_questions(200).questions) {
    ++labels[one.label];
    EXPECT_EQ(one.question.turns.back().role, data::Role::kUser);
  }
  EXPECT_THAT(languages, ElementsAre("en", "ja"));
  EXPECT_THAT(kinds, ElementsAre("arithmetic", "geometry"));
  EXPECT_THAT(labels, ElementsAre(50, 50, 50, 50));
}

}  // namespace
}  // namespace nkat::validation
