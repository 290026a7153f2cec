#include "validation/tasks/label_continuations.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/datasets/record.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;

DecisionQuestion question_with(const std::string& answer, std::string_view label) {
  const auto index = std::ranges::find(data::kFourClasses, label) - data::kFourClasses.begin();
  return {.question = {.where = "test", .turns = {{data::Role::kUser, "May I?"}}},
          .answer = answer,
          .label = static_cast<std::size_t>(index)};
}

TEST(LabelContinuations, EndWithEachLabelInTheRecordsOwnForm) {
  EXPECT_THAT(label_continuations(question_with("Decision: DENY\nReason: no", "DENY")),
              ElementsAre("Decision: ALLOW", "Decision: ESCALATION", "Decision: DENY", "Decision: REFUSE"));
  EXPECT_THAT(label_continuations(question_with("# 思考ステップ\nDENYかALLOWか\n# 最終回答\nDENYです", "DENY")),
              ElementsAre("# 思考ステップ\nALLOWかALLOWか\n# 最終回答\nALLOW",
                          "# 思考ステップ\nESCALATIONかALLOWか\n# 最終回答\nESCALATION",
                          "# 思考ステップ\nDENYかALLOWか\n# 最終回答\nDENY",
                          "# 思考ステップ\nREFUSEかALLOWか\n# 最終回答\nREFUSE"));
}

TEST(LabelContinuations, AreTheBareWordsWhereTheAnswerDoesNotNameTheLabel) {
  for (const char* answer : {"", "It is not permitted.", "Decision: ALLOW", "DENY or REFUSE"}) {
    EXPECT_THAT(label_continuations(question_with(answer, "DENY")),
                ElementsAre("ALLOW", "ESCALATION", "DENY", "REFUSE"))
        << answer;
  }
}

}  // namespace
}  // namespace nkat::validation
