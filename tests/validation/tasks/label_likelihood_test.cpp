#include "validation/tasks/label_likelihood.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/validation/tasks/tiny_eval_model.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using namespace nkat::testing;
using data::Role;
using Tokens = std::vector<std::int32_t>;

// The ids of each label's word behind a space, in the order of data::kFourClasses.
Tokens word(std::string_view label) {
  Tokens tokens = {tiny_id("\u2581")};
  for (const char letter : label) tokens.push_back(byte_id(static_cast<unsigned char>(letter)));
  return tokens;
}

Tokens joined(Tokens left, const Tokens& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

DecisionQuestion asked(const std::vector<data::Turn>& turns, const std::string& answer = "") {
  return {.question = {.where = "q.jsonl:7", .turns = turns}, .answer = answer, .label = 2};
}

// Of one token, whose loss is a float32 sum of 311 exponentials: some hundred roundings of 6e-8 at most.
constexpr double kTolerance = 1e-5;

class LabelLikelihood : public ::testing::Test {
 protected:
  const TemporaryFolder folder_;
  EvalInputs inputs_ = tiny_inputs(folder_);
};

TEST_F(LabelLikelihood, ScoresTheWordOfEachLabelBehindThePromptWithoutItsEnd) {
  const auto sequences = encode_labels(inputs_, {asked({{Role::kUser, "hello"}})});
  ASSERT_EQ(sequences.size(), 4U);
  const Tokens prompt = {310, tiny_id("\u2581hello"), 307, 301};  // <|user|> hello <|end|> <|assistant|>
  for (const auto& [i, label] : {std::pair{0U, "ALLOW"}, {1U, "ESCALATION"}, {2U, "DENY"}, {3U, "REFUSE"}}) {
    EXPECT_THAT(sequences[i].tokens, ElementsAreArray(joined(prompt, word(label)))) << label;
    EXPECT_EQ(sequences[i].first, 4) << label;
  }
}

TEST_F(LabelLikelihood, ScoresTheLastAnswerOfAConversationInTheRecordsOwnForm) {
  const DecisionQuestion question =
      asked({{Role::kUser, "hello"}, {Role::kAssistant, "hello"}, {Role::kUser, "hello"}}, "hello DENY\nhello");
  const auto sequences = encode_labels(inputs_, {question});
  const int hello = tiny_id("\u2581hello");
  const Tokens prompt = {310, hello, 307, 301, hello, 307, 310, hello, 307, 301};
  EXPECT_THAT(sequences[2].tokens, ElementsAreArray(joined(joined(prompt, {hello}), word("DENY"))));
  EXPECT_EQ(sequences[2].first, 10);
}

TEST_F(LabelLikelihood, IsTheSumOverAllTokensOfALabelWhateverItsLength) {
  const EvalModel even = preferring_model(folder_, {}, {});
  const auto sequences = encode_labels(inputs_, {asked({{Role::kUser, "hello"}}), asked({{Role::kUser, "a"}})});
  const std::vector<LabelScores> scores = score_labels(even, {}, sequences, "labels");
  ASSERT_EQ(scores.size(), 2U);
  for (const LabelScores& one : scores) {
    for (const auto& [i, tokens] : {std::pair{0U, 6}, {1U, 11}, {2U, 5}, {3U, 7}})
      EXPECT_NEAR(one[i], -tokens * std::log(311), tokens * kTolerance) << i;
  }
}

// With z the logit of the one token that is preferred, -z with the adapter, and 0 of 310 others.
TEST_F(LabelLikelihood, IsThatOfTheBlocksGiven) {
  const EvalModel model = preferring_model(folder_, {{byte_id('D'), 0.25}}, opposite_blocks());
  const double z = logit_of(model, byte_id('D'));
  const auto sequences = encode_labels(inputs_, {asked({{Role::kUser, "hello"}})});
  const LabelScores base = score_labels(model, {}, sequences, "labels").at(0);
  const LabelScores adapted = score_labels(model, model.blocks, sequences, "labels").at(0);
  EXPECT_NEAR(base[2], z - 5 * std::log(std::exp(z) + 310), 5 * kTolerance);
  EXPECT_NEAR(adapted[2], -z - 5 * std::log(std::exp(-z) + 310), 5 * kTolerance);
  EXPECT_NEAR(base[0], -6 * std::log(std::exp(z) + 310), 6 * kTolerance);
}

// The prompt has 4 tokens beside the letters, the longest label 11, and the model takes 63.
TEST_F(LabelLikelihood, RefusesAQuestionWhoseLongestLabelDoesNotFit) {
  EXPECT_NO_THROW(encode_labels(inputs_, {asked({{Role::kUser, std::string(48, 'a')}})}));
  EXPECT_THAT(message_of<DataError>([&] {
                encode_labels(inputs_, {asked({{Role::kUser, std::string(49, 'a')}})});
              }),
              HasSubstr("q.jsonl:7: the prompt has 64 tokens, but the model takes 64"));
}

}  // namespace
}  // namespace nkat::validation
