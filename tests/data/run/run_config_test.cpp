#include "data/run/run_config.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/mutations.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

RunFacts some_facts() {
  return {.requested_checkpointing = "full",
          .memory = {.recomputed_layers = 3, .head_rows = 512, .micro_batch_samples = 4},
          .memory_events = {"smaller", "smaller still"},
          .validation_sha256 = "abc",
          .validation_since = 7,
          .ranks = 2};
}

TEST(RunConfig, WritesTheOptionsAndThenTheFacts) {
  EXPECT_EQ(run_config_text({{"max_steps", 10}}, some_facts()), R"({
  "nkat_run": 1,
  "max_steps": 10,
  "memory": {
    "requested_checkpointing": "full",
    "recomputed_layers": 3,
    "micro_batch_samples": 4,
    "head_rows": 512,
    "events": [
      "smaller",
      "smaller still"
    ]
  },
  "ranks": 2,
  "validation": {
    "sha256": "abc",
    "since_step": 7
  }
}
)");
}

TEST(RunConfig, BringsBackTheFactsThatItWrote) {
  const Json config = Json::parse(run_config_text({{"max_steps", 10}}, some_facts()));
  EXPECT_EQ(config["max_steps"], 10);
  EXPECT_EQ(run_version(config), kRunVersion);
  const RunFacts facts = run_facts(config);
  EXPECT_EQ(facts.requested_checkpointing, "full");
  EXPECT_EQ(facts.memory.recomputed_layers, 3);
  EXPECT_EQ(facts.memory.micro_batch_samples, 4);
  EXPECT_EQ(facts.memory.head_rows, 512);
  EXPECT_THAT(facts.memory_events, ElementsAre("smaller", "smaller still"));
  EXPECT_EQ(facts.ranks, 2);
  EXPECT_EQ(facts.validation_sha256, "abc");
  EXPECT_EQ(facts.validation_since, 7);
}

TEST(RunConfig, TakesDefaultsForWhatIsMissingOrOfAnotherType) {
  for (const char* text : {"{}", "[]", R"({"memory": 3, "ranks": "two", "validation": []})",
                           R"({"memory": {"micro_batch_samples": "4", "events": {}}, "validation": {"sha256": 5}})"}) {
    const RunFacts facts = run_facts(Json::parse(text));
    EXPECT_EQ(facts.requested_checkpointing, "auto") << text;
    EXPECT_EQ(facts.memory.micro_batch_samples, std::numeric_limits<std::int64_t>::max()) << text;  // all
    EXPECT_EQ(facts.memory.recomputed_layers, 0) << text;
    EXPECT_EQ(facts.memory.head_rows, MemorySettings().head_rows) << text;
    EXPECT_TRUE(facts.memory_events.empty()) << text;
    EXPECT_EQ(facts.ranks, 1) << text;
    EXPECT_EQ(facts.validation_sha256, "") << text;
  }
}

TEST(RunConfig, KnowsARunByItsKey) {
  EXPECT_EQ(run_version(Json::parse(R"({"nkat_run": 2})")), 2);
  for (const char* text : {"{}", "[1]", R"({"nkat_run": "1"})"}) EXPECT_FALSE(run_version(Json::parse(text))) << text;
}

TEST(RunConfig, ReadsTheSettingsThatOthersLookAt) {
  const nkat::testing::TemporaryFolder folder;
  const fs::path path = folder.write(
      "config.json",
      run_config_text({{"max_steps", 60}, {"alpha_init", -5.0}, {"device", "cpu"}, {"early_stopping_patience", 3}},
                      some_facts()));
  const RunSettings settings = read_run_settings(path);
  EXPECT_EQ(settings.max_steps, 60);
  EXPECT_EQ(settings.alpha_init, -5.0);
  EXPECT_EQ(settings.device, "cpu");
  EXPECT_EQ(settings.control, Control::kNone);
  EXPECT_EQ(settings.validation_since, 7);
  EXPECT_EQ(settings.early_stopping_patience, 3);
  EXPECT_FALSE(settings.seed.has_value());
}

TEST(RunConfig, KnowsNothingOfAConfigThatIsNotARuns) {
  const nkat::testing::TemporaryFolder folder;
  EXPECT_FALSE(read_run_settings(folder.write("config.json", R"({"max_steps": 60})")).max_steps.has_value());
}

TEST(RunConfig, NamesFileAndKeyOfAWrongType) {
  const nkat::testing::TemporaryFolder folder;
  const fs::path path = folder.write("config.json", R"({"nkat_run": 1, "seed": "four"})");
  EXPECT_THAT(nkat::testing::complaint_about([](const std::string& file) { read_run_settings(file); }, path.string()),
              HasSubstr("config.json: key 'seed': expected a whole number of at least 0, found \"four\""));
}

TEST(RunConfig, ReadsTheControlByItsName) {
  const nkat::testing::TemporaryFolder folder;
  const auto control_of = [&](const std::string& name) {
    return read_run_settings(folder.write("config.json", R"({"nkat_run": 1, "control": ")" + name + R"("})")).control;
  };
  EXPECT_EQ(control_of("frozen-gates"), Control::kFrozenGates);
  EXPECT_EQ(control_of("none"), Control::kNone);
  EXPECT_THAT(nkat::testing::complaint_about([&](const std::string& name) { control_of(name); }, "frozen"),
              HasSubstr("config.json: key 'control': expected one of none, identity, shuffled, frozen-gates, found "
                        "\"frozen\""));
}

}  // namespace
}  // namespace nkat::data
