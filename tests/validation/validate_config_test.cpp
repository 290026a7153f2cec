#include "validation/validate_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "validation/gates/gate_verdict.h"

namespace nkat::validation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Flags = OptionList::Flags;

// Of `nkat validate --checkpoint-dir run` with these flags.
ValidateConfig parsed(Flags flags) {
  flags.insert({"checkpoint-dir", {"run"}});
  ValidateConfig config;
  OptionList options;
  declare_options(options, config);
  options.apply(flags, nlohmann::ordered_json::object(), "");
  return config;
}
std::string complaint(const Flags& flags) {
  return nkat::testing::message_of<ConfigError>([&] { parsed(flags); });
}
std::string complaint_with_model(Flags flags) {
  flags.insert({"model-path", {"model"}});
  return complaint(flags);
}

TEST(ValidateConfig, FlagsReachTheirFields) {
  const ValidateConfig config = parsed({{"compare", {"a", "b"}},
                                        {"minimum-rise", {"0.5"}},
                                        {"replicates", {"20"}},
                                        {"seed", {"7"}},
                                        {"questions", {"3"}},
                                        {"plot-phase-transition", {"plot.png"}}});
  EXPECT_EQ(config.run, "run");
  EXPECT_THAT(config.compare, ElementsAre("a", "b"));
  EXPECT_EQ(config.gates.minimum_rise, 0.5);
  EXPECT_EQ(config.gates.replicates, 20);
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.questions.questions, 3);
  EXPECT_EQ(config.plot_phase_transition, "plot.png");
}

TEST(ValidateConfig, HasTheTasksGivenOrAllOfThem) {
  for (const Task task : {Task::kLoss, Task::kDecision, Task::kMath}) EXPECT_TRUE(parsed({}).has_task(task));
  const ValidateConfig config = parsed({{"model-path", {"model"}}, {"tasks", {"math"}}});
  EXPECT_TRUE(config.has_task(Task::kMath));
  EXPECT_FALSE(config.has_task(Task::kLoss));
  EXPECT_FALSE(config.has_task(Task::kDecision));
}

TEST(ValidateConfig, WhatIsForTheModelNeedsIt) {
  for (const auto& [name, word] : {std::pair{"general-data", "g.jsonl"},
                                   {"reasoning-data", "r.jsonl"},
                                   {"device", "cpu"},
                                   {"device", "auto"},  // the default, but given
                                   {"precision", "auto"}}) {
    EXPECT_EQ(complaint({{name, {word}}}), std::string("--") + name + " needs --model-path, the base model of the run");
  }
}

TEST(ValidateConfig, DataNeedATaskThatReadsThem) {
  EXPECT_EQ(complaint_with_model({{"tasks", {"math"}}, {"validation-data", {"v.jsonl"}}}),
            "--validation-data needs one of the tasks loss and decision");
  EXPECT_EQ(
      complaint_with_model({{"tasks", {"loss"}}, {"validation-data", {"v.jsonl"}}, {"reasoning-data", {"r.jsonl"}}}),
      "--reasoning-data needs the task math");
  EXPECT_EQ(complaint_with_model({{"tasks", {"decision"}}, {"validation-data", {"v.jsonl"}}, {"ablate", {"layers"}}}),
            "--ablate needs --validation-data and the task loss");
}

TEST(ValidateConfig, TasksNeedTheirDataOnlyWhereTheyAreGiven) {
  EXPECT_EQ(complaint_with_model({}), "");
  EXPECT_EQ(complaint_with_model({{"tasks", {"loss", "decision", "math"}}}),
            "--tasks decision needs --validation-data with labels\n"
            "--tasks loss needs --validation-data or --general-data");
  EXPECT_EQ(complaint_with_model({{"tasks", {"loss"}}, {"general-data", {"g.jsonl"}}}), "");
}

TEST(ValidateConfig, AMissingModelIsNamedOnceForEachOptionThatNeedsIt) {
  EXPECT_EQ(complaint({{"tasks", {"math"}}, {"validation-data", {"v.jsonl"}}}),
            "--tasks needs --model-path, the base model of the run\n"
            "--validation-data needs --model-path, the base model of the run");
}

TEST(ValidateConfig, FlagsThatChangeNothingAreListed) {
  const auto ignored = [](Flags flags) {
    flags.insert({"checkpoint-dir", {"run"}});
    ValidateConfig config;
    OptionList options;
    declare_options(options, config);
    options.apply(flags, nlohmann::ordered_json::object(), "");
    return ignored_flags(config, options);
  };
  const Flags given = {{"questions", {"3"}}, {"generation-batch", {"2"}}, {"overlong", {"cut"}}, {"seed", {"1"}}};
  EXPECT_THAT(ignored(given), ElementsAre("--overlong", "--questions", "--generation-batch"));
  Flags with_model = given;
  with_model.insert({"model-path", {"model"}});
  EXPECT_THAT(ignored(with_model), ElementsAre());
  with_model.insert({"tasks", {"loss"}});
  with_model.insert({"general-data", {"g.jsonl"}});
  EXPECT_THAT(ignored(with_model), ElementsAre("--questions", "--generation-batch"));
}

TEST(ValidateConfig, EveryVerdictCanBeRequired) {
  for (const Verdict verdict : kVerdicts)
    EXPECT_EQ(parsed({{"require", {verdict_name(verdict)}}}).require, verdict_name(verdict));
}

TEST(ValidateConfig, NeedsARunAndNumbersInTheirRanges) {
  EXPECT_THAT(complaint({{"checkpoint-dir", {""}}}), HasSubstr("--checkpoint-dir: it must not be empty"));
  EXPECT_THAT(complaint({{"minimum-rise", {"2.5"}}}), HasSubstr("--minimum-rise: expected a number from 0 to 2"));
  EXPECT_THAT(complaint({{"replicates", {"19"}}}), HasSubstr("from 20 to 100000, found 19"));
  EXPECT_THAT(complaint({{"seed", {"-1"}}}), HasSubstr("--seed: expected a whole number of at least 0"));
}

}  // namespace
}  // namespace nkat::validation
