#include "validation/tasks/loss_task.h"

#include <cmath>
#include <cstdlib>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/validation/tasks/tiny_eval_model.h"

namespace nkat::validation {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;
using namespace nkat::testing;

// Losses are float32 sums of 311 exponentials: some hundred roundings of 6e-8 of 5.7 nats at most.
constexpr double kLossTolerance = 1e-5;
// Targets: a, a; and hello, a space, a. Three of five are "a".
constexpr const char* kHeldOut = "{\"text\":\"aa\"}\n{\"text\":\"hello hello a\"}\n";

class LossTaskTest : public ::testing::Test {
 protected:
  LossTaskTest() { setenv("NKAT_CACHE_DIR", (folder_.path() / "cache").c_str(), 1); }
  ~LossTaskTest() override { unsetenv("NKAT_CACHE_DIR"); }

  std::string write(const char* name, const char* lines) const { return folder_.write(name, lines).string(); }
  EvalResults measure(const LossTaskOptions& options, const EvalModel& model) const {
    EvalResults results;
    prepare_loss_task(options, inputs_)(model, results);
    return results;
  }
  // Prefers "a"; with `blocks` it doesn't.
  EvalModel model_with(std::vector<at::Tensor> blocks) const {
    return preferring_model(folder_, {{tiny_id("a"), 0.25}}, std::move(blocks));
  }

  const TemporaryFolder folder_;
  const EvalInputs inputs_ = tiny_inputs(folder_);
};

TEST_F(LossTaskTest, ABareModelWithoutPreferencesLosesTheLogarithmOfItsVocabulary) {
  const std::string file = write("held-out.jsonl", kHeldOut);
  const EvalResults results = measure({.dataset = {.files = {file}}}, preferring_model(folder_, {}, {}));
  const LossFinding& found = results.held_out.value();
  EXPECT_EQ(found.file, file);
  EXPECT_EQ(found.samples, 2);
  EXPECT_EQ(found.tokens, 5);
  EXPECT_NEAR(found.loss.value, std::log(311), kLossTolerance);
  EXPECT_NEAR(found.perplexity.value, 311, 311 * kLossTolerance);
  EXPECT_FALSE(found.base_loss || found.base_perplexity || found.change || found.divergence);
  EXPECT_FALSE(results.general.has_value());
  EXPECT_TRUE(results.ablation.empty());
}

// With z the logit of "a", -z with the adapter, and 0 of 310 other tokens.
TEST_F(LossTaskTest, AnAdapterIsMeasuredAgainstItsBaseOnTheSameTargets) {
  const EvalModel model = model_with(opposite_blocks());
  const double z = logit_of(model, tiny_id("a"));
  const double base_sum = std::exp(z) + 310, adapted_sum = std::exp(-z) + 310;
  const EvalResults results = measure({.dataset = {.files = {write("held-out.jsonl", kHeldOut)}}}, model);
  const LossFinding& found = results.held_out.value();
  const double base = std::log(base_sum) - 0.6 * z, adapted = std::log(adapted_sum) + 0.6 * z;
  EXPECT_NEAR(found.base_loss.value().value, base, kLossTolerance);
  EXPECT_NEAR(found.base_perplexity.value().value, std::exp(base), std::exp(base) * kLossTolerance);
  EXPECT_NEAR(found.loss.value, adapted, kLossTolerance);
  EXPECT_NEAR(found.change.value().value, adapted - base, 2 * kLossTolerance);
  EXPECT_TRUE(found.change.value().interval.has_value());
  // KL(p || q) = p("a") 2 z + log(sum of q / sum of p), the same at each target.
  EXPECT_NEAR(found.divergence.value().value, std::exp(z) / base_sum * 2 * z + std::log(adapted_sum / base_sum),
              kLossTolerance);
}

// Layer 0 alone does something: without its M the model is the bare one.
TEST_F(LossTaskTest, AblationClosesOneGateAtATime) {
  EvalModel model = model_with(opposite_blocks());
  const double odds = std::log(3.0);  // a gate of 3/4
  model.adapter = {.first_layer = 0, .weight = at::zeros({2, 4, 8, 8}), .alpha = at::tensor({0.0, odds}, at::kFloat)};
  const EvalResults results =
      measure({.dataset = {.files = {write("held-out.jsonl", kHeldOut)}}, .ablate_layers = true}, model);
  ASSERT_EQ(results.ablation.size(), 2U);
  EXPECT_EQ(results.ablation[0].layer, 0);
  EXPECT_EQ(results.ablation[0].gate, 0.5);
  EXPECT_NEAR(results.ablation[0].loss_change.value, -results.held_out.value().change.value().value,
              2 * kLossTolerance);
  EXPECT_EQ(results.ablation[1].layer, 1);
  EXPECT_NEAR(results.ablation[1].gate, 0.75, 1e-7);  // alpha is float32
  EXPECT_EQ(results.ablation[1].loss_change.value, 0.0);
}

TEST_F(LossTaskTest, GeneralTextIsMeasuredByItselfAndFilesTogether) {
  const std::string one = write("one.jsonl", "{\"text\":\"aa\"}\n"), two = write("two.jsonl", "{\"text\":\"aaa\"}\n");
  const EvalResults results = measure({.general_data = {one, two}}, model_with({}));
  EXPECT_FALSE(results.held_out.has_value());
  EXPECT_EQ(results.general.value().file, one + ", " + two);
  EXPECT_EQ(results.general.value().samples, 2);
  EXPECT_EQ(results.general.value().tokens, 5);
}

TEST_F(LossTaskTest, ALossThatIsNotFiniteIsNamedByItsPlaceAndModel) {
  const LossTaskOptions options{.dataset = {.files = {write("held-out.jsonl", kHeldOut)}}};
  const EvalModel model = model_with(std::vector<at::Tensor>(2, at::full({4, 8, 8}, NAN)));
  EXPECT_THAT(message_of<DataError>([&] { measure(options, model); }),
              HasSubstr("held-out.jsonl:1: the loss with the adapter must be finite and is not"));
}

TEST_F(LossTaskTest, RecordsThatAreCutOrLeftOutAreCountedInTheLog) {
  const std::string file =
      write("held-out.jsonl", "{\"text\":\"aa\"}\n{\"text\":\"hello hello a\"}\n{\"text\":\"hello\"}\n");
  CaptureStderr();
  prepare_loss_task({.dataset = {.files = {file}, .max_sequence_length = 3}}, inputs_);
  EXPECT_THAT(GetCapturedStderr(), HasSubstr(file + ": 1 of 3 records truncated, 1 dropped, 0 bad"));
}

}  // namespace
}  // namespace nkat::validation
