#include "validation/tasks/paired_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files/file.h"
#include "tests/support/temporary_folder.h"

namespace nkat::validation {
namespace {

using nkat::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

std::string warning_of(std::int64_t unparsed, std::int64_t questions) {
  CaptureStderr();
  warn_if_most_unparsed(unparsed, questions, "name no label");
  return GetCapturedStderr();
}

MathQuestion question(const std::string& where, const std::string& language, const std::string& kind) {
  return {
      .question = {.where = where, .turns = {}, .language = language}, .result = *Decimal::parse("42"), .kind = kind};
}

struct Answered {
  std::vector<std::string> texts;
  nlohmann::ordered_json row(std::size_t i) const { return {{"answer", texts[i]}}; }
};

TEST(PairedTask, AsksForAsManyGeneratedQuestionsAsGivenOrTheDefault) {
  EXPECT_EQ(generated_count({.questions = 7}), 7);
  EXPECT_EQ(generated_count({}), kGeneratedQuestions);
}

TEST(PairedTask, GroupsQuestionsByLanguageAndKind) {
  const auto math = question_groups({question("a", "en", "geometry"), question("b", "ja", "")});
  EXPECT_THAT(math, ElementsAre(Key("all"), Key("en"), Key("geometry"), Key("ja")));
  const std::vector<DecisionQuestion> decisions = {
      {.question = {.where = "c", .turns = {}, .language = "ja"}, .answer = ""}};
  EXPECT_THAT(question_groups(decisions), ElementsAre(Key("all"), Key("ja")));
}

TEST(PairedTask, WarnsOnlyIfMoreThanHalfOfTheBasesAnswersAreUnparsed) {
  EXPECT_EQ(warning_of(2, 4), "");
  EXPECT_THAT(warning_of(3, 4), HasSubstr("3 of 4 answers of the bare model name no label"));
}

TEST(PairedTask, WritesWhereTruthAndAnswersOfBothModels) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("answers.jsonl", "old");
  PairedTask<MathQuestion> task{.set = {.source = "s", .questions = {question("f:1", "", ""), question("f:2", "", "")}},
                                .prompts = {{1}, {2}},
                                .answering = {},
                                .predictions = PredictionsFile(path.string())};
  EXPECT_EQ(fs::file_size(path), 0u);  // emptied before anything is computed
  const auto truth = [](const MathQuestion& one) { return nlohmann::ordered_json{{"result", one.result.text()}}; };
  write_predictions(task, Paired<Answered>{{{"x", "\xe3"}}, {{"y", "z"}}}, true, truth);
  EXPECT_EQ(read_file(path, 1000), R"({"where":"f:1","result":"42","answer":"x","base":{"answer":"y"}}
{"where":"f:2","result":"42","answer":"�","base":{"answer":"z"}}
)");
}

TEST(PairedTask, WritesNothingWithoutAFile) {
  PredictionsFile file("");
  EXPECT_NO_THROW(file.write({{{"a", 1}}}));
}

}  // namespace
}  // namespace nkat::validation
