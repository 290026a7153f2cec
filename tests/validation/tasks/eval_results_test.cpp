#include "validation/tasks/eval_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::Key;

TEST(Scores, PairTheSameQuestions) {
  const PairedAccuracy score = paired_accuracy({true, true, false, true, false}, {true, false, true, false, false});
  EXPECT_EQ(score.model.right, 3);
  EXPECT_EQ(score.model.questions, 5);
  EXPECT_EQ(score.base->right, 2);
  EXPECT_EQ(score.gained, 2);
  EXPECT_EQ(score.lost, 1);
  EXPECT_NEAR(*score.p, 1.0, 1e-12);  // 2 of 3 either way
  EXPECT_LT(score.model.interval.low, 0.6);
  EXPECT_GT(score.model.interval.high, 0.6);
}

TEST(Scores, OfABareModelHaveNoPairs) {
  const PairedAccuracy score = paired_accuracy({true, false}, {});
  EXPECT_FALSE(score.base);
  EXPECT_FALSE(score.p);
}

TEST(Scores, ConfusionCountsEachQuestionOnce) {
  const Confusion confusion = confusion_of({0, 0, 1, 2, 3, 3}, {0, 2, 1, kUnparsed, 3, kUnparsed});
  EXPECT_THAT(confusion[0], ElementsAre(1, 0, 1, 0, 0));
  EXPECT_THAT(confusion[2], ElementsAre(0, 0, 0, 0, 1));
  std::int64_t sum = 0;
  for (const auto& row : confusion) {
    for (const std::int64_t count : row) sum += count;
  }
  EXPECT_EQ(sum, 6);
}

// By hand: class 0 has TP 1, FP 0, FN 1; class 1 TP 1; class 2 FP 1, FN 1; class 3 TP 1, FN 1.
TEST(Scores, MacroF1IsTheMeanOverTheClasses) {
  const Confusion confusion = confusion_of({0, 0, 1, 2, 3, 3}, {0, 2, 1, kUnparsed, 3, kUnparsed});
  EXPECT_DOUBLE_EQ(macro_f1(confusion), (2.0 / 3 + 1.0 + 0.0 + 2.0 / 3) / 4);
}

TEST(Scores, MacroF1LeavesOutClassesThatNeverOccur) {
  EXPECT_DOUBLE_EQ(macro_f1(confusion_of({0, 1}, {0, 1})), 1.0);
  EXPECT_DOUBLE_EQ(macro_f1(confusion_of({0, 0}, {0, 3})), (2.0 / 3 + 0.0) / 2);
  EXPECT_DOUBLE_EQ(macro_f1({}), 0.0);
}

TEST(Scores, AreGroupedByLanguageAndKind) {
  const auto groups = groups_of({"en", "ja", "en", ""}, {"geometry", "", "arithmetic", "geometry"});
  EXPECT_THAT(groups, ElementsAre(Key(""), Key("all"), Key("arithmetic"), Key("en"), Key("geometry"), Key("ja")));
  EXPECT_THAT(groups.at("all"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(groups.at("geometry"), ElementsAre(0, 3));
  EXPECT_THAT(selected(std::vector<bool>{true, false, true, false}, groups.at("en")), ElementsAre(true, true));
}

TEST(Scores, AQuestionIsInAGroupOnceWhateverItsLanguageAndKindAreCalled) {
  const auto groups = groups_of({"all", "en", "geometry", "ja"}, {"", "all", "geometry", ""});
  EXPECT_THAT(groups, ElementsAre(Key("all"), Key("en"), Key("geometry"), Key("ja")));
  EXPECT_THAT(groups.at("all"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(groups.at("geometry"), ElementsAre(2));
}

}  // namespace
}  // namespace nkat::validation
