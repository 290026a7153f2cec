#include "train/run/resume.h"

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/train/distributed/rank_threads.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::tiny_config;

TrainerState state_of(double number, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.adapter = {.weight = at::full({2, 3, 8, 8}, number), .alpha = at::full({2}, number)};
  state.optimizer = OptimizerState::zeros_for(state.adapter);
  return state;
}

TEST(BroadcastState, GivesEachRankTheStateOfRankZero) {
  on_ranks(2, [](ProcessGroup& group) {
    TrainerState state = state_of(group.rank() == 0 ? -0.0 : 2.0, group.rank() == 0 ? 12 : 0);
    if (group.rank() == 0) {
      state.optimizer.updates = 11;
      state.pending = StepMetrics{.step = 12, .loss = 0.1, .alpha = {1.0, 2.0}, .gate_force = {0.0, 0.0}};
    }
    broadcast_state(group, state);
    EXPECT_EQ(state.step, 12);
    EXPECT_EQ(state.optimizer.updates, 11);
    ASSERT_TRUE(state.pending);
    EXPECT_EQ(state.pending->loss, 0.1);
    TrainerState expected = state_of(-0.0, 12);
    expected.optimizer.updates = 11;
    EXPECT_EQ(state_digest(state), state_digest(expected));
  });
}

class FindStartTest : public ::testing::Test {
 protected:
  FindStartTest() {
    declare_options(options_, config_, /*for_plan=*/false);
    options_.apply({{"model-path", {"model"}}, {"train-data", {"a.jsonl"}}, {"output-dir", {path_.string()}}},
                   nlohmann::ordered_json::object(), "");
  }
  // A run that was stopped at step 3, with settings that an earlier start has changed.
  void write_run() {
    RunFolder folder(path_);
    TrainConfig saved = config_;
    saved.checkpointing = "2";
    data::RunFacts settings{.requested_checkpointing = requested_,
                            .memory = {.recomputed_layers = 2, .head_rows = 64, .micro_batch_samples = 4},
                            .memory_events = {"step 2: recomputing 2 of 2 layers"},
                            .validation_sha256 = "old",
                            .validation_since = 1};
    folder.save_config(saved, settings);
    TrainerState state;
    state.step = 3;
    state.adapter = models::init_adapter(tiny_config(), {.weight_std = 0.1, .seed = 7});
    state.optimizer = OptimizerState::zeros_for(state.adapter);
    std::vector<StepMetrics> lines;
    for (std::int64_t step = 1; step <= 3; ++step)
      lines.push_back({.step = step, .alpha = {-5.0, -5.0}, .gate_force = {0.0, 0.0}});
    save_checkpoint(folder.checkpoints(), state, lines, tiny_config(), identity_);
  }
  RunStart find() {
    const RunFolder folder(path_);
    ProcessGroup alone;
    return find_start(&folder, alone, config_, options_, tiny_config());
  }
  const TemporaryFolder parent_;
  const fs::path path_ = parent_.path() / "run";
  const RunIdentity identity_{.base = {"model", "base"}, .data_sha256 = "data", .seed = 0, .batch_samples = 32};
  std::string requested_ = "auto";
  TrainConfig config_;
  OptionList options_;
};

TEST_F(FindStartTest, OfANewFolderIsAFreshState) {
  const RunStart start = find();
  EXPECT_FALSE(start.identity);
  EXPECT_EQ(start.saved_step(), -1);
  EXPECT_EQ(start.state.step, 0);
  EXPECT_EQ(start.state.settings.memory.micro_batch_samples, 32);
  EXPECT_EQ(start.state.adapter.count(), tiny_config().num_layers);
}

TEST_F(FindStartTest, LoadsEverythingThatTheRunHasKept) {
  write_run();
  const RunStart start = find();
  EXPECT_EQ(start.saved_step(), 3);
  EXPECT_EQ(start.identity->data_sha256, "data");
  const data::RunFacts& settings = start.state.settings;
  EXPECT_EQ(settings.requested_checkpointing, "auto");
  EXPECT_EQ(config_.checkpointing, "2");  // as it was resolved, although `auto` is asked for again
  EXPECT_EQ(settings.memory.head_rows, 64);
  EXPECT_EQ(settings.memory.micro_batch_samples, 4);
  EXPECT_EQ(settings.memory_events, (std::vector<std::string>{"step 2: recomputing 2 of 2 layers"}));
  EXPECT_EQ(settings.validation_since, 1);
}

TEST_F(FindStartTest, TheSameRequestedCheckpointingKeepsWhatItWasResolvedTo) {
  requested_ = config_.checkpointing = "full";
  write_run();
  EXPECT_EQ(find().state.settings.requested_checkpointing, "full");
  EXPECT_EQ(config_.checkpointing, "2");
  config_.checkpointing = "1";  // asked for anew
  EXPECT_EQ(find().state.settings.requested_checkpointing, "1");
  EXPECT_EQ(config_.checkpointing, "1");
}

TEST_F(FindStartTest, RefusesARunThatMustNotBeThere) {
  write_run();
  config_.resume = ResumePolicy::kNever;
  EXPECT_THROW(find(), ConfigError);
}

TEST_F(FindStartTest, OtherValidationDataCountFromTheCheckpointOn) {
  write_run();
  RunStart start = find();
  adopt_validation_data(start, "old");
  EXPECT_EQ(start.state.settings.validation_since, 1);
  adopt_validation_data(start, "new");
  EXPECT_EQ(start.state.settings.validation_since, 3);
  EXPECT_EQ(start.state.settings.validation_sha256, "new");
}

TEST_F(FindStartTest, OtherDataBaseOrBatchIsNotTheSameRun) {
  write_run();
  const RunStart start = find();
  EXPECT_NO_THROW(require_same_run(start, identity_, "run"));
  for (const auto& change : std::vector<std::function<void(RunIdentity&)>>{
           [](RunIdentity& i) { i.data_sha256 = "other"; }, [](RunIdentity& i) { i.base.base_sha256 = "other"; },
           [](RunIdentity& i) { i.seed = 1; }, [](RunIdentity& i) { i.batch_samples = 16; }}) {
    RunIdentity other = identity_;
    change(other);
    EXPECT_THROW(require_same_run(start, other, "run"), DataError);
  }
}

TEST(RequireSameOnAllRanks, NamesTheRankAndTheOption) {
  on_ranks(2, [](ProcessGroup& group) {
    TrainConfig config;
    config.seed = group.rank();
    EXPECT_THAT(message_of<RankMismatch>([&] { require_same_on_all_ranks(group, config, {}, ""); }),
                HasSubstr("found seed: 1 on rank 1, 0 on rank 0"));
  });
}

}  // namespace
}  // namespace nkat::train
