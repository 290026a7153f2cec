#include "validation/tasks/question_task_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class QuestionTaskOptionsTest : public ::testing::Test {
 protected:
  QuestionTaskOptionsTest() { declare_question_task_options(options_, config_); }
  std::string complaint(const std::string& name, const std::string& word) {
    return nkat::testing::message_of<ConfigError>([&] {
      options_.apply({{name, {word}}}, nlohmann::ordered_json::object(), "");
    });
  }
  QuestionTaskOptions config_;
  OptionList options_;
};

TEST_F(QuestionTaskOptionsTest, LeaveTheFilesToTheCommand) {
  std::vector<std::string> names;
  for (const OptionList::Option& option : options_.options()) names.push_back(option.name);
  EXPECT_THAT(names, ElementsAre("questions", "question-suffix", "max-new-tokens", "generation-batch"));
}

TEST_F(QuestionTaskOptionsTest, ReachTheirFields) {
  options_.apply({{"questions", {"7"}},
                  {"question-suffix", {"End with ####."}},
                  {"max-new-tokens", {"8"}},
                  {"generation-batch", {"9"}}},
                 nlohmann::ordered_json::object(), "");
  EXPECT_EQ(config_.questions, 7);
  EXPECT_EQ(config_.question_suffix, "End with ####.");
  EXPECT_EQ(config_.answering.max_new_tokens, 8);
  EXPECT_EQ(config_.answering.generation_batch, 9);
}

TEST_F(QuestionTaskOptionsTest, TakeTheEndsOfTheirRanges) {
  for (const auto& [name, word] : {std::pair{"questions", "0"},
                                   {"questions", "1000000"},
                                   {"max-new-tokens", "1"},
                                   {"generation-batch", "1"},
                                   {"generation-batch", "4096"}})
    EXPECT_EQ(complaint(name, word), "") << name << " " << word;
}

TEST_F(QuestionTaskOptionsTest, RefuseWhatLiesBeyond) {
  EXPECT_THAT(complaint("questions", "-1"), HasSubstr("--questions: expected a whole number from 0 to 1000000"));
  EXPECT_THAT(complaint("questions", "1000001"), HasSubstr("from 0 to 1000000, found 1000001"));
  EXPECT_THAT(complaint("max-new-tokens", "0"),
              HasSubstr("--max-new-tokens: expected a whole number of at least 1, found 0"));
  EXPECT_THAT(complaint("generation-batch", "4097"), HasSubstr("from 1 to 4096, found 4097"));
}

}  // namespace
}  // namespace nkat::validation
