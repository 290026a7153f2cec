#include "train/distributed/environment.h"

#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::train {
namespace {

using Variables = std::map<std::string, std::string>;

// What torchrun sets for the second of two ranks on the second of two machines.
const Variables kTorchrun = {
    {"RANK", "3"},       {"WORLD_SIZE", "4"},       {"LOCAL_RANK", "1"},      {"LOCAL_WORLD_SIZE", "2"},
    {"GROUP_RANK", "1"}, {"MASTER_ADDR", "node-0"}, {"MASTER_PORT", "29500"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}};

std::optional<RankEnvironment> read(const Variables& variables) {
  for (const auto& [name, value] : kTorchrun) ::unsetenv(name.c_str());
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  struct Cleaner {
    ~Cleaner() {
      for (const auto& [name, value] : kTorchrun) ::unsetenv(name.c_str());
    }
  } cleaner;
  return rank_environment();
}

// The message without the variable, or with this value in it.
std::string message_of(const std::string& name, const std::optional<std::string>& value) {
  Variables variables = kTorchrun;
  variables.erase(name);
  if (value) variables[name] = *value;
  return nkat::testing::message_of<ConfigError>([&] { read(variables); });
}

TEST(RankEnvironment, IsNothingWithoutRank) {
  Variables variables = kTorchrun;
  variables.erase("RANK");
  EXPECT_FALSE(read(variables).has_value());
}

TEST(RankEnvironment, ReadsWhatTorchrunSets) {
  const auto environment = read(kTorchrun);
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->rank, 3);
  EXPECT_EQ(environment->size, 4);
  EXPECT_EQ(environment->local_rank, 1);
  EXPECT_EQ(environment->local_size, 2);
  EXPECT_EQ(environment->machine, 1);
  EXPECT_EQ(environment->address, "node-0");
  EXPECT_EQ(environment->port, 29500);
  EXPECT_TRUE(environment->store_is_there);
  EXPECT_FALSE(environment->one_machine());
}

TEST(RankEnvironment, NamesAVariableThatIsMissing) {
  for (const char* name : {"WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
    EXPECT_TRUE(message_of(name, std::nullopt).starts_with(std::string(name) + ":")) << name;
}

TEST(RankEnvironment, NeedsTheNumberOfTheMachineWhenThereAreSeveral) {
  EXPECT_TRUE(message_of("GROUP_RANK", std::nullopt).starts_with("GROUP_RANK: expected a number from 0 to 3"));
  Variables one = kTorchrun;
  one.erase("GROUP_RANK");
  one["LOCAL_WORLD_SIZE"] = one["WORLD_SIZE"];
  const auto environment = read(one);
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->machine, 0);
}

TEST(RankEnvironment, HasAtMost65536Ranks) {
  EXPECT_EQ(message_of("WORLD_SIZE", "65536"), "");
  EXPECT_TRUE(message_of("WORLD_SIZE", "65537").starts_with("WORLD_SIZE: expected a number from 1 to 65536"));
}

TEST(RankEnvironment, RefusesValuesOutOfRange) {
  const std::vector<std::pair<const char*, const char*>> bad = {{"RANK", "4"},        {"RANK", "-1"},
                                                                {"RANK", ""},         {"RANK", "1x"},
                                                                {"WORLD_SIZE", "0"},  {"LOCAL_RANK", "2"},
                                                                {"MASTER_PORT", "0"}, {"MASTER_PORT", "65536"},
                                                                {"MASTER_ADDR", ""},  {"LOCAL_WORLD_SIZE", "5"},
                                                                {"GROUP_RANK", "x"},  {"RANK", "99999999999999999999"}};
  for (const auto& [name, value] : bad) {
    const std::string message = message_of(name, value);
    EXPECT_TRUE(message.starts_with(std::string(name) + ":") &&
                message.find(std::string("'") + value + "'") != std::string::npos)
        << name << "=" << value << ": " << message;
  }
}

TEST(RankDevice, IsTheOneAskedForUnlessRanksWouldShareAGpu) {
  EXPECT_EQ(rank_device("cuda:1", {.size = 1}), "cuda:1");
  EXPECT_EQ(rank_device("cpu", {.rank = 1, .size = 2, .local_rank = 1, .local_size = 2}), "cpu");
  EXPECT_EQ(rank_device("cuda:0", {.rank = 1, .size = 2, .machine = 1}), "cuda:0");
  EXPECT_THROW(rank_device("cuda:0", {.rank = 1, .size = 2, .local_rank = 1, .local_size = 2}), ConfigError);
}

}  // namespace
}  // namespace nkat::train
