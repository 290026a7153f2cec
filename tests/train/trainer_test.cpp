#include "train/trainer.h"

#include <cmath>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/train/tiny_run.h"

namespace nkat::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

// `two_nats_per_target`, with `disturb` called before the micro-batch of this number (from 1, over all steps).
MicroBatchFunction disturbed(int at, const std::function<void()>& disturb) {
  return [=, calls = std::make_shared<int>(0)](const auto&... arguments) {
    if (++*calls == at) disturb();
    return TinyRun::two_nats_per_target(arguments...);
  };
}

bool same_tensors(const TrainerState& a, const TrainerState& b) {
  const auto left = trained_tensors(a), right = trained_tensors(b);
  return std::equal(left.begin(), left.end(), right.begin(),
                    [](const at::Tensor& x, const at::Tensor& y) { return x.equal(y); });
}

TEST(Trainer, AddsUpLossAndGradientOverTheMicroBatches) {
  TinyRun run;
  int calls = 0;
  const auto counted = [&](const auto&... arguments) {
    ++calls;
    return TinyRun::two_nats_per_target(arguments...);
  };
  ASSERT_EQ(run.train(counted), ExitCode::kDone);
  EXPECT_EQ(calls, 4 * 3);
  const auto lines = run.metrics();
  ASSERT_EQ(lines.size(), 4U);
  for (const StepMetrics& line : lines) EXPECT_DOUBLE_EQ(line.loss, 2.0);
  // f = -<dM, R> with dM of ones and R = I in all 4 blocks, up to the rounding of a float32 sum.
  for (const double force : lines[0].gate_force) EXPECT_NEAR(force, -32.0, 1e-5);
  EXPECT_EQ(lines[0].alpha, (std::vector<double>{0.0, 0.0}));
  EXPECT_LT(lines[1].alpha[0], 0.0);  // the loss falls where the gate closes
  EXPECT_EQ(run.last.step, 4);
  EXPECT_EQ(run.last.optimizer.updates, 4);
}

TEST(Trainer, HasTheSameGradientHoweverABatchIsSplit) {
  TinyRun single, packed;
  packed.config.tokens_per_micro_batch = "1000";
  single.train();
  packed.train();
  EXPECT_DOUBLE_EQ(packed.metrics().back().loss, single.metrics().back().loss);
  EXPECT_LT((packed.last.adapter.alpha - single.last.adapter.alpha).abs().max().item<double>(), 1e-6);
}

TEST(Trainer, SkipsTheUpdateOfAStepThatIsNotFinite) {
  TinyRun run;
  int calls = 0;
  run.train([&](const auto& matrices, const auto& samples, double scale, const auto& settings) {
    return TinyRun::two_nats_per_target(matrices, samples, ++calls == 5 ? std::nan("") : scale, settings);
  });
  const auto lines = run.metrics();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_FALSE(lines[0].skipped);
  EXPECT_EQ(lines[1].skipped, "the gradient is not finite");
  EXPECT_TRUE(std::isnan(lines[1].gate_force[0]));
  EXPECT_EQ(lines[2].alpha, lines[1].alpha);
  EXPECT_NE(lines[3].alpha, lines[2].alpha);
  EXPECT_EQ(run.last.optimizer.updates, 3);
}

TEST(Trainer, NamesTheSamplesWhenThreeStepsInARowAreNotFinite) {
  TinyRun run;
  const auto not_finite = [](const auto&... arguments) {
    return TinyRun::two_nats_per_target(arguments...) * std::nan("");
  };
  const std::string message = message_of<CheckError>([&] { run.train(not_finite); });
  EXPECT_THAT(message, HasSubstr("step 3: 3 steps in a row are not finite (the loss is not finite)"));
  EXPECT_THAT(message, HasSubstr("train.jsonl:5"));
  EXPECT_EQ(run.last.optimizer.updates, 0);
  EXPECT_THAT(read_file(run.path() / "summary.json", 1 << 20), HasSubstr("three steps in a row were not finite"));
}

TEST(Trainer, AnInterruptLeavesTheStateOfTheStepsStart) {
  TinyRun run;
  // The second micro-batch of step 2.
  EXPECT_EQ(run.train(disturbed(5, [] { throw Interrupted("stopped by a signal"); })), ExitCode::kInterrupted);
  EXPECT_EQ(run.last.step, 1);
  EXPECT_TRUE(same_tensors(run.last, run.saved_state(1)));
  EXPECT_EQ(run.metrics().size(), 1U);
  EXPECT_THAT(read_file(run.path() / "summary.json", 1 << 20), HasSubstr("\"stopped\": \"signal\""));
}

TEST(Trainer, GoesOnAfterAnInterruptAsIfNothingHadHappened) {
  TinyRun whole, stopped;
  whole.train();
  stopped.train(disturbed(8, [] { throw Interrupted("stopped by a signal"); }));
  ASSERT_EQ(stopped.last.step, 2);
  EXPECT_EQ(stopped.train(), ExitCode::kDone);
  EXPECT_TRUE(same_tensors(stopped.last, whole.last));
  ASSERT_EQ(stopped.metrics().size(), 4U);
  EXPECT_EQ(stopped.metrics().back().alpha, whole.metrics().back().alpha);
}

TEST(Trainer, AnyExceptionOfAStepSavesTheStepsStart) {
  TinyRun run;
  EXPECT_THROW(run.train(disturbed(8, [] { throw std::logic_error("a bug"); })), std::logic_error);
  EXPECT_EQ(run.saved_state(2).step, 2);
  EXPECT_TRUE(same_tensors(run.last, run.saved_state(2)));
}

TEST(Trainer, AFailedDeviceIsADeviceErrorWithEverythingSaved) {
  TinyRun run;
  const auto fail = [] { TORCH_CHECK(false, "CUDA error: an illegal memory access"); };
  EXPECT_THAT(message_of<DeviceError>([&] { run.train(disturbed(8, fail)); }), HasSubstr("step 3: the device failed"));
  EXPECT_EQ(run.saved_state(2).step, 2);
}

TEST(Trainer, RepeatsAMicroBatchThatRanOutOfMemoryAndKeepsTheSettings) {
  TinyRun calm, run;
  calm.train();
  int calls = 0;
  run.train([&](const auto&... arguments) {
    const double loss = TinyRun::two_nats_per_target(arguments...);
    if (++calls == 4) TORCH_CHECK_WITH(OutOfMemoryError, false, "asked for by the test");
    return loss;
  });
  EXPECT_EQ(calls, 4 * 3 + 1);
  EXPECT_TRUE(same_tensors(run.last, calm.last));  // nothing of the failed attempt counts
  EXPECT_EQ(run.last.settings.memory.recomputed_layers, 1);
  EXPECT_THAT(run.last.settings.memory_events, ElementsAre("step 2: recomputing 1 of 2 layers"));
  EXPECT_THAT(read_file(run.path() / "config.json", 1 << 20), HasSubstr("step 2: recomputing 1 of 2 layers"));
}

TEST(Trainer, AFailedValidationIsRepeatedOnResumeAndTheStepIsNot) {
  TinyRun run;
  int validations = 0;
  run.validate = [&](const auto&...) -> double {
    if (++validations == 2) throw std::runtime_error("the validation failed");
    return 1.5;
  };
  EXPECT_THROW(run.train(), std::runtime_error);
  EXPECT_EQ(run.metrics().size(), 1U);
  ASSERT_TRUE(run.saved_state(2).pending);
  EXPECT_EQ(run.train(), ExitCode::kDone);
  const auto lines = run.metrics();
  ASSERT_EQ(lines.size(), 4U);
  for (const StepMetrics& line : lines) EXPECT_EQ(line.validation_loss, 1.5);
  EXPECT_EQ(run.last.optimizer.updates, 4);
}

TEST(Trainer, EndsEarlyWithTheLastCheckpointWritten) {
  TinyRun run;
  run.config.early_stopping_patience = 2;
  run.config.max_steps = 20;
  run.validate = [&](const auto&...) { return 1.5; };
  EXPECT_EQ(run.train(), ExitCode::kDone);
  EXPECT_EQ(run.metrics().size(), 3U);
  EXPECT_EQ(run.saved_state(3).step, 3);
  EXPECT_TRUE(same_tensors(run.last, run.saved_state(3)));
  EXPECT_THAT(read_file(run.path() / "summary.json", 1 << 20), HasSubstr("\"stopped\": \"early\""));
  run.config.early_stopping_patience = 4;
  EXPECT_EQ(run.train(), ExitCode::kDone);
  EXPECT_EQ(run.metrics().size(), 5U);
}

TEST(Trainer, AnswersTheSamplesAtValidationsAndAtTheLastStepWithEqualResults) {
  TinyRun calm, run;
  for (TinyRun* one : {&calm, &run}) {
    one->config.max_steps = 5;
    one->config.validate_every = 2;
  }
  run.config.sample_prompts = "prompts.txt";
  run.answer_samples = [](const models::Adapter& adapter) {
    return std::vector<SampleAnswer>{{"alpha?", std::to_string(*adapter.alpha.const_data_ptr<float>())}};
  };
  calm.train();
  run.train();
  EXPECT_TRUE(same_tensors(run.last, calm.last));
  std::string expected;  // of the state after each step: the alpha that the next line has
  const auto lines = run.metrics();
  for (const std::size_t step : {2U, 4U}) {
    expected += fmt::format("{{\"step\":{},\"prompt\":\"alpha?\",\"answer\":\"{}\"}}\n", step,
                            std::to_string(lines[step].alpha[0]));
  }
  const std::string samples = read_file(run.path() / "samples.jsonl", 1 << 20);
  EXPECT_EQ(samples.substr(0, expected.size()), expected);
  EXPECT_THAT(samples.substr(expected.size()), ::testing::StartsWith("{\"step\":5,"));
}

TEST(Trainer, AnInterruptedAnswerIsRepeatedOnResumeAndTheStepIsNot) {
  TinyRun run;
  run.config.sample_prompts = "prompts.txt";
  int calls = 0;
  run.answer_samples = [&](const auto&) -> std::vector<SampleAnswer> {
    if (++calls == 2) throw Interrupted("stopped by a signal");
    return {{"prompt", "answer"}};
  };
  EXPECT_EQ(run.train(), ExitCode::kInterrupted);
  EXPECT_EQ(run.metrics().size(), 1U);
  ASSERT_TRUE(run.saved_state(2).pending);
  EXPECT_EQ(run.train(), ExitCode::kDone);
  EXPECT_EQ(run.metrics().size(), 4U);
  EXPECT_EQ(run.last.optimizer.updates, 4);
  std::istringstream samples(read_file(run.path() / "samples.jsonl", 1 << 20));
  int step = 0;
  for (std::string line; std::getline(samples, line);)
    EXPECT_THAT(line, ::testing::StartsWith(fmt::format("{{\"step\":{},", ++step)));
  EXPECT_EQ(step, 4);
}

}  // namespace
}  // namespace nkat::train
