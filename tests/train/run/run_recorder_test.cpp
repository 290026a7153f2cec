#include "train/run/run_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "train/distributed/process_group.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::tiny_config;

class RunRecorderTest : public ::testing::Test {
 protected:
  RunRecorderTest() {
    state_.adapter = models::init_adapter(tiny_config(), {.weight_std = 0.1});
    state_.optimizer = OptimizerState::zeros_for(state_.adapter);
  }
  RunRecorder open(std::int64_t saved_step = -1) {
    return {config_, {&folder_, model_, identity_, saved_step}, state_, monitor_};
  }
  // The state after a step, and its line.
  StepMetrics next_step(std::optional<double> validation_loss = std::nullopt) {
    ++state_.step;
    state_.adapter.alpha.add_(0.25);
    return {.step = state_.step,
            .loss = 1.0,
            .alpha = {0.0, 0.0},
            .gate_force = {0.0, 0.0},
            .validation_loss = validation_loss};
  }
  std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> steps;
    std::istringstream text(read_file(folder_.metrics(), 1 << 20));
    for (std::string line; std::getline(text, line);) steps.push_back(data::parse_metrics_line(line, "metrics").step);
    return steps;
  }
  at::Tensor alpha_in(const fs::path& folder) const { return models::load_adapter(folder, model_).adapter.alpha; }
  bool saved(std::int64_t step) const { return fs::exists(data::checkpoint_path(folder_.checkpoints(), step)); }

  const testing::TemporaryFolder parent_;
  const RunFolder folder_{parent_.path() / "run"};
  const models::ModelConfig model_ = tiny_config();
  const RunIdentity identity_{.base = {"model", "base"}, .batch_samples = 1};
  const MemoryMonitor monitor_{at::kCPU, 0};
  TrainConfig config_;
  TrainerState state_;
};

using Steps = std::vector<std::int64_t>;

TEST_F(RunRecorderTest, WritesOneLinePerStepAndCutsThemOnResume) {
  {
    RunRecorder recorder = open();
    for (int i = 0; i < 3; ++i) recorder.record(next_step(), state_);
  }
  EXPECT_EQ(steps(), (Steps{1, 2, 3}));
  state_.step = 2;  // of the newest checkpoint
  RunRecorder resumed = open(2);
  EXPECT_EQ(steps(), (Steps{1, 2}));
  resumed.record(next_step(), state_);
  EXPECT_EQ(steps(), (Steps{1, 2, 3}));
}

TEST_F(RunRecorderTest, AStepWhoseValidationIsPendingHasNoLineYet) {
  {
    RunRecorder recorder = open();
    recorder.record(next_step(), state_);
    state_.pending = next_step();
    recorder.save(state_);
  }
  RunRecorder resumed = open(2);
  EXPECT_EQ(steps(), Steps{1});
}

TEST_F(RunRecorderTest, PublishesTheBestAdapterWhenTheValidationLossFalls) {
  RunRecorder recorder = open();
  recorder.record(next_step(), state_);
  EXPECT_FALSE(fs::exists(folder_.best_adapter()));
  recorder.record(next_step(2.0), state_);
  const at::Tensor best = state_.adapter.alpha.clone();
  recorder.record(next_step(2.5), state_);
  EXPECT_TRUE(alpha_in(folder_.best_adapter()).equal(best));
  recorder.record(next_step(1.5), state_);
  EXPECT_TRUE(alpha_in(folder_.best_adapter()).equal(state_.adapter.alpha));
}

TEST_F(RunRecorderTest, LossesOnOtherValidationDataDoNotCompete) {
  RunRecorder recorder = open();
  recorder.record(next_step(1.0), state_);
  state_.settings.validation_since = 1;
  recorder.record(next_step(2.0), state_);
  EXPECT_TRUE(alpha_in(folder_.best_adapter()).equal(state_.adapter.alpha));
}

TEST_F(RunRecorderTest, SavesAFreshRunOnceAndRepublishesTheNewestAdapterOfASavedOne) {
  RunRecorder fresh = open();
  fresh.begin(state_);
  EXPECT_TRUE(saved(0));
  fs::remove_all(folder_.newest_adapter());
  open(0).begin(state_);
  EXPECT_TRUE(alpha_in(folder_.newest_adapter()).equal(state_.adapter.alpha));
}

TEST_F(RunRecorderTest, KeepsOnlySoManyCheckpoints) {
  config_.keep_checkpoints = 1;
  RunRecorder recorder = open();
  recorder.begin(state_);
  for (int i = 0; i < 3; ++i) {
    recorder.record(next_step(), state_);
    recorder.save(state_);
  }
  EXPECT_TRUE(saved(0) && saved(3));
  EXPECT_FALSE(saved(1) || saved(2));
}

TEST_F(RunRecorderTest, SavesAfterAnyExceptionOfTheSteps) {
  RunRecorder recorder = open();
  const auto fail = [&]() -> ExitCode {
    recorder.record(next_step(), state_);
    throw std::logic_error("a bug");
  };
  EXPECT_THROW(recorder.keep(state_, fail), std::logic_error);
  EXPECT_TRUE(saved(1));
  EXPECT_FALSE(fs::exists(folder_.summary()));
}

TEST_F(RunRecorderTest, SavesNothingWhenTheRanksHoldDifferentStates) {
  RunRecorder recorder = open();
  const auto fail = [&]() -> ExitCode {
    recorder.record(next_step(), state_);
    throw RankMismatch("rank 1 differs");
  };
  EXPECT_THROW(recorder.keep(state_, fail), RankMismatch);
  EXPECT_FALSE(saved(1));
  EXPECT_FALSE(fs::exists(folder_.summary()));
}

TEST_F(RunRecorderTest, WritesTheSummaryWhenTheStepsEnd) {
  RunRecorder recorder = open();
  const auto train = [&] {
    recorder.record(next_step(3.0), state_);
    return ExitCode::kDone;
  };
  EXPECT_EQ(recorder.keep(state_, train), ExitCode::kDone);
  const std::string summary = read_file(folder_.summary(), 1 << 20);
  EXPECT_THAT(summary, HasSubstr("\"stopped\": \"finished\""));
  EXPECT_THAT(summary, HasSubstr("\"validation_loss_best\": 3.0"));
}

TEST_F(RunRecorderTest, EndsEarlyAfterSoManyValidationsWithoutAGain) {
  config_.early_stopping_patience = 2;
  RunRecorder recorder = open();
  for (const auto& [loss, ends] : {std::pair{2.0, false}, {2.5, false}, {1.5, false}, {1.5, false}, {1.75, true}}) {
    const StepMetrics metrics = next_step(loss);
    EXPECT_EQ(recorder.ends_early(metrics, state_), ends) << state_.step;
    recorder.record(metrics, state_);
  }
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(recorder.keep(state_, [] { return ExitCode::kDone; }), ExitCode::kDone);
  EXPECT_THAT(read_file(folder_.summary(), 1 << 20), HasSubstr("\"stopped\": \"early\""));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("step 5: ends early, 2 validations in a row without a loss below 1.5000 (step 3)"));
}

TEST_F(RunRecorderTest, AnEarlyEndIsCountedAcrossStartsAndALargerPatienceGoesOn) {
  {
    RunRecorder recorder = open();
    for (const double loss : {1.0, 2.0, 2.0}) recorder.record(next_step(loss), state_);
  }
  for (const auto& [patience, ended] : {std::pair{0, false}, {1, true}, {2, true}, {3, false}}) {
    config_.early_stopping_patience = patience;
    EXPECT_EQ(has_ended_early(folder_, config_, state_), ended) << patience;
  }
  EXPECT_TRUE(open(3).ends_early(next_step(2.0), state_));
  state_.step = 3;
  state_.settings.validation_since = 1;  // the loss of 1.0 is of other data
  EXPECT_FALSE(open(3).ends_early(next_step(1.5), state_));
}

TEST_F(RunRecorderTest, TheLastStepIsNoEarlyEnd) {
  config_.early_stopping_patience = 1;
  config_.max_steps = 2;
  RunRecorder recorder = open();
  recorder.record(next_step(1.0), state_);
  EXPECT_FALSE(recorder.ends_early(next_step(2.0), state_));
}

TEST_F(RunRecorderTest, ARunThatHasEndedEarlySaysSoAndWhatGoesOn) {
  config_.early_stopping_patience = 1;
  config_.tensorboard = true;
  {
    RunRecorder recorder = open();
    for (const double loss : {1.0, 2.0}) recorder.record(next_step(loss), state_);
  }
  fs::remove_all(folder_.tensorboard());
  ::testing::internal::CaptureStderr();
  repeat_finish(folder_, config_, state_, model_, identity_.base);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("ended early at step 2: 1 validation in a row without a loss below 1.0000 (step 1); raise "
                        "--early-stopping-patience"));
  EXPECT_THAT(read_file(folder_.summary(), 1 << 20), HasSubstr("\"stopped\": \"early\""));
  EXPECT_FALSE(fs::is_empty(folder_.tensorboard()));
}

TEST_F(RunRecorderTest, EventsAndSamplesAreWrittenWhereAskedForAndCutOnResume) {
  open().record_samples(1, {{"prompt", "answer"}});
  EXPECT_FALSE(fs::exists(folder_.samples()) || fs::exists(folder_.tensorboard()));
  config_.tensorboard = true;
  config_.sample_prompts = "prompts.txt";
  ::testing::internal::CaptureStderr();
  {
    RunRecorder recorder = open();
    for (int i = 0; i < 3; ++i) {
      const StepMetrics metrics = next_step();
      recorder.record_samples(metrics.step, {{"prompt", "two\nlines"}});
      recorder.record(metrics, state_);
    }
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("step 3: \"prompt\" is answered \"two\\nlines\""));
  const auto event_bytes = [&] {
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(folder_.tensorboard())) bytes += entry.file_size();
    return bytes;
  };
  const std::uintmax_t of_three = event_bytes();
  state_.step = 2;  // of the newest checkpoint
  open(2);
  EXPECT_LT(event_bytes(), of_three);
  EXPECT_GT(event_bytes(), of_three / 2);
  const std::string samples = read_file(folder_.samples(), 1 << 20);
  EXPECT_THAT(samples, HasSubstr("{\"step\":2,\"prompt\":\"prompt\",\"answer\":\"two\\nlines\"}"));
  EXPECT_EQ(samples.find("\"step\":3"), std::string::npos);
}

TEST_F(RunRecorderTest, CountsTheSkippedStepsAtTheEnd) {
  {
    RunRecorder recorder = open();
    EXPECT_EQ(recorder.skipped_in_a_row(), 0);
    for (const bool skipped : {true, false, true, true}) {
      StepMetrics metrics = next_step();
      if (skipped) metrics.skipped = "the loss is not finite";
      recorder.record(metrics, state_);
    }
  }
  EXPECT_EQ(open(4).skipped_in_a_row(), 2);
}

TEST_F(RunRecorderTest, WarnsOnceOfAGradientBelowAHundredTimesAdamsEpsilon) {
  const double limit = 100 * config_.adam_epsilon;
  ::testing::internal::CaptureStderr();
  RunRecorder recorder = open();
  for (const double rms : {0.0, limit, 0.99 * limit, 0.5 * limit}) {
    StepMetrics metrics = next_step();
    metrics.weight_grad_rms = rms;
    recorder.record(metrics, state_);
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  const std::string warning = "the rotation gradient's root mean square";
  EXPECT_THAT(log, HasSubstr("step 3: " + warning + " 9.90e-11 is below 100 x --adam-epsilon"));
  EXPECT_EQ(log.find(warning), log.rfind(warning));
}

TEST_F(RunRecorderTest, WritesAMemoryEventAtOnce) {
  RunRecorder recorder = open();
  state_.settings.memory.recomputed_layers = 2;
  recorder.add_memory_event(state_, "recomputing 2 of 2 layers");
  const std::string config = read_file(parent_.path() / "run" / "config.json", 1 << 20);
  EXPECT_THAT(config, HasSubstr("step 1: recomputing 2 of 2 layers"));
  EXPECT_THAT(config, HasSubstr("\"checkpointing\": \"2\""));
}

TEST_F(RunRecorderTest, WithoutAFolderRecordsNothing) {
  RunRecorder recorder(config_, {nullptr, model_, identity_, -1}, state_, monitor_);
  recorder.begin(state_);
  recorder.record(next_step(1.0), state_);
  recorder.add_memory_event(state_, "an event");
  EXPECT_EQ(recorder.keep(state_, [] { return ExitCode::kDone; }), ExitCode::kDone);
  EXPECT_TRUE(state_.settings.memory_events.empty());
  EXPECT_TRUE(fs::is_empty(folder_.checkpoints()));
}

}  // namespace
}  // namespace nkat::train
