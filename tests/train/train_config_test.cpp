#include "train/train_config.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::ordered_json;
using Flags = std::map<std::string, std::vector<std::string>>;

class TrainConfigTest : public ::testing::Test {
 protected:
  TrainConfigTest() { declare_options(options_, config_, /*for_plan=*/false); }
  void apply(Flags flags) {
    flags.insert({{"model-path", {"model"}}, {"train-data", {"a.jsonl"}}, {"output-dir", {"run"}}});
    options_.apply(flags, Json::object(), "");
  }
  TrainConfig config_;
  OptionList options_;
};

TEST_F(TrainConfigTest, HasThePublishedDefaults) {
  apply({});
  EXPECT_EQ(config_.max_steps, 5000);
  EXPECT_EQ(config_.global_batch_samples(), 32);
  EXPECT_EQ(config_.learning_rate, 1e-3);
  EXPECT_EQ(config_.alpha_learning_rate, 5e-3);
  EXPECT_EQ(config_.alpha_init, -5.0);
  EXPECT_EQ(config_.adam_epsilon, 1e-12);
  EXPECT_EQ(config_.vram_budget_gib, 11.5);
}

TEST_F(TrainConfigTest, TheGuidePresetSetsOneRateForBoth) {
  apply({{"preset", {"guide"}}});
  EXPECT_EQ(config_.learning_rate, 5e-5);
  EXPECT_EQ(config_.alpha_learning_rate, 5e-5);
}

TEST_F(TrainConfigTest, ResumingKeepsWhatAutoWasResolvedTo) {
  apply({});
  Json saved = to_json(config_);
  saved["precision"] = "fp32";
  saved["device"] = "cpu";
  saved["checkpointing"] = "3";
  adopt_saved_config(config_, saved, options_);
  EXPECT_EQ(config_.precision, models::Precision::kFp32);
  EXPECT_EQ(config_.device, "cpu");
  EXPECT_EQ(config_.checkpointing, "3");
}

TEST_F(TrainConfigTest, ResumingWithAnotherRateNamesIt) {
  apply({{"learning-rate", {"0.01"}}});
  Json saved = to_json(config_);
  saved["learning_rate"] = 0.02;
  EXPECT_THAT(nkat::testing::message_of<ConfigError>([&] { adopt_saved_config(config_, saved, options_); }),
              HasSubstr("learning_rate was 0.02 and is now 0.01"));
}

TEST_F(TrainConfigTest, ResumingMayChangeStepsAndMachineOptions) {
  apply({{"max-steps", {"10"}}, {"checkpoint-every", {"7"}}, {"vram-budget-gib", {"3"}}, {"checkpointing", {"full"}}});
  TrainConfig before = config_;
  before.max_steps = 5;
  before.checkpoint_every = 50;
  before.vram_budget_gib = 11.5;
  before.checkpointing = "0";
  EXPECT_NO_THROW(adopt_saved_config(config_, to_json(before), options_));
  EXPECT_EQ(config_.max_steps, 10);
  EXPECT_EQ(config_.vram_budget_gib, 3);
}

TEST_F(TrainConfigTest, ResumingMayMoveFilesWhoseContentIsComparedByHash) {
  apply({});
  Json saved = to_json(config_);
  saved["model_path"] = "elsewhere/model";
  saved["train_data"] = {"elsewhere/a.jsonl"};
  EXPECT_NO_THROW(adopt_saved_config(config_, saved, options_));
}

// A fixed option decides what is trained: another saved value is refused, and so is a missing one.
TEST_F(TrainConfigTest, EveryOptionKnowsWhetherItMayChangeOnResume) {
  apply({});
  const Json now = to_json(config_);
  const std::set<std::string> changeable = {"model_path",       "train_data",       "validation_data",
                                            "output_dir",       "max_steps",        "device",
                                            "vram_budget_gib",  "checkpointing",    "tokens_per_micro_batch",
                                            "checkpoint_every", "keep_checkpoints", "validate_every",
                                            "log_every",        "resume",           "rank_timeout",
                                            "sample_prompts",   "tensorboard",      "early_stopping_patience"};
  for (const auto& [key, value] : now.items()) {
    Json other = now, without = now;
    other[key] = "another value";
    without.erase(key);
    const bool may_change = changeable.contains(key);
    const auto adopt = [&](const Json& saved) {
      TrainConfig config = config_;
      adopt_saved_config(config, saved, options_);
    };
    if (may_change) {
      EXPECT_NO_THROW(adopt(other)) << key;
      EXPECT_NO_THROW(adopt(without)) << key;
    } else {
      EXPECT_THROW(adopt(other), ConfigError) << key;
      if (key != "base") {
        EXPECT_THROW(adopt(without), FormatError) << key;
      }
    }
  }
}

TEST_F(TrainConfigTest, RanksShareEverythingButPathsDeviceAndMemory) {
  Json own = to_json(config_);
  const Json shared = shared_options(config_);
  for (const auto& [key, value] : shared.items()) own.erase(key);
  std::set<std::string> keys;
  for (const auto& [key, value] : own.items()) keys.insert(key);
  EXPECT_THAT(keys,
              UnorderedElementsAre("model_path", "train_data", "validation_data", "output_dir", "device",
                                   "vram_budget_gib", "checkpointing", "tokens_per_micro_batch", "sample_prompts"));
}

TEST_F(TrainConfigTest, PatienceNeedsValidationData) {
  EXPECT_THAT(nkat::testing::message_of<ConfigError>([&] {
                apply({{"early-stopping-patience", {"2"}}});
              }),
              HasSubstr("--early-stopping-patience: expected --validation-data too"));
  EXPECT_NO_THROW(apply({{"early-stopping-patience", {"2"}}, {"validation-data", {"b.jsonl"}}}));
  EXPECT_EQ(config_.early_stopping_patience, 2);
}

TEST_F(TrainConfigTest, RefusesWordsThatNoOptionKnows) {
  for (const auto& [name, word] : {std::pair{"checkpointing", "some"},
                                   {"device", "tpu"},
                                   {"schedule", "cosinus"},
                                   {"control", "identiy"},
                                   {"tokens-per-micro-batch", "0"}}) {
    EXPECT_THROW(apply({{name, {word}}}), ConfigError) << name;
  }
}

}  // namespace
}  // namespace nkat::train
