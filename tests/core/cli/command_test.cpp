#include "core/cli/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"

namespace nkat {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;
using Json = nlohmann::ordered_json;

struct Config {
  std::int64_t steps = 5;
  double budget = 11.5;
  std::string text;
};

struct Outcome {
  int code = 0;
  std::string output = "", log = "";
};

// A program of two commands: "train" with options, "data" with a command of its own.
class CommandTest : public ::testing::Test {
 protected:
  Outcome run(std::vector<const char*> words) {
    Command train{.name = "train", .summary = "trains"};
    train.options->add("max-steps", config_.steps, {.help = "optimizer steps", .minimum = 1, .alias = "steps"});
    train.options->add("budget", config_.budget, {.help = "memory budget", .unit = "GiB", .minimum = 0});
    train.options->add("text", config_.text, {.help = "some text"});
    train.options->add_preset("small", "few steps", {{"max-steps", "2"}});
    train.run = [] { return ExitCode::kDone; };
    const Command data{
        .name = "data", .summary = "data files", .subcommands = {{.name = "check", .summary = "checks"}}};
    words.insert(words.begin(), "nkat");
    CaptureStdout();
    CaptureStderr();
    Outcome outcome{.code = run_program("nkat", "1", {train, data}, static_cast<int>(words.size()), words.data())};
    outcome.output = GetCapturedStdout();
    outcome.log = GetCapturedStderr();
    return outcome;
  }
  Config config_;
};

TEST_F(CommandTest, HelpShowsRangeDefaultAndUnitButNoFormerName) {
  const std::string help = run({"train", "--help"}).output;
  EXPECT_THAT(help, HasSubstr("nkat train"));
  EXPECT_THAT(help, HasSubstr("memory budget, at least 0 (default 11.5 GiB)"));
  EXPECT_THAT(help, Not(HasSubstr("--steps")));
}

TEST_F(CommandTest, ATextInBracketsIsThatText) {
  EXPECT_EQ(run({"train", "--text", "[1, 2]"}).code, 0);
  EXPECT_EQ(config_.text, "[1, 2]");
  EXPECT_EQ(run({"train", "--text=[3]"}).code, 0);
  EXPECT_EQ(config_.text, "[3]");
  EXPECT_EQ(run({"train", "--text=a=[b]"}).code, 0);
  EXPECT_EQ(config_.text, "a=[b]");
  EXPECT_THAT(run({"train", "[4]"}).log, HasSubstr("'[4]' is not known"));
  EXPECT_THAT(run({"train", "--config", "[5]"}).log, HasSubstr("error [5]: "));
}

TEST_F(CommandTest, HelpAsJsonHoldsWhatTheOptionsDeclare) {
  const Json help = Json::parse(run({"train", "--help", "--json"}).output);
  EXPECT_EQ(help["command"], "nkat train");
  EXPECT_EQ(help["options"][0]["key"], "max_steps");
  EXPECT_EQ(help["options"][0]["default"], 5);
  EXPECT_EQ(help["options"][0]["aliases"], Json::array({"steps"}));
  EXPECT_EQ(help["options"][1]["unit"], "GiB");
  EXPECT_EQ(help["presets"]["small"]["values"]["max-steps"], "2");
  EXPECT_EQ(Json::parse(run({"data", "--json", "--help"}).output)["commands"], Json::array({"check"}));
  EXPECT_EQ(Json::parse(run({"--help", "--json"}).output)["commands"], (Json{"train", "data"}));
}

TEST_F(CommandTest, TakesAFormerNameOnTheCommandLine) {
  const Outcome outcome = run({"train", "--steps", "7"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(config_.steps, 7);
  EXPECT_THAT(outcome.log, HasSubstr("--steps is now --max-steps"));
}

TEST_F(CommandTest, OffersNoFormerNameForATypo) {
  const Outcome outcome = run({"train", "--stepz", "7"});
  EXPECT_EQ(outcome.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(outcome.log, Not(HasSubstr("'--steps'")));
}

TEST_F(CommandTest, TakesAConfigFileOfUpToAMebibyte) {
  const nkat::testing::TemporaryFolder folder;
  std::string text = R"({"max_steps": 7})";
  text.resize(1 << 20, ' ');
  const std::string file = folder.write("config.json", text);
  EXPECT_EQ(run({"train", "--config", file.c_str()}).code, 0);
  EXPECT_EQ(config_.steps, 7);
  folder.write("config.json", text + ' ');
  const Outcome outcome = run({"train", "--config", file.c_str()});
  EXPECT_EQ(outcome.code, static_cast<int>(ExitCode::kInput));
  EXPECT_THAT(outcome.log, HasSubstr("expected at most 1048576 bytes, found 1048577"));
}

TEST_F(CommandTest, AProgramWithoutACommandSaysWhatWasExpected) {
  const Outcome outcome = run({});
  EXPECT_EQ(outcome.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(outcome.log, HasSubstr("expected a command, found none"));
}

}  // namespace
}  // namespace nkat
