#include "core/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

struct Config {
  std::int64_t max_steps = 5000;
  double learning_rate = 1e-3;
  std::string precision = "auto";
  bool verbose = false;
  std::vector<std::string> train_data;
};

class OptionListTest : public ::testing::Test {
 protected:
  OptionListTest() {
    options_.add("max-steps", config_.max_steps, {.help = "optimizer steps", .minimum = 1});
    options_.add("learning-rate", config_.learning_rate, {.help = "rate", .minimum = 0, .above_minimum = true});
    options_.add("precision", config_.precision, {.help = "arithmetic", .choices = {"auto", "bf16", "fp32"}});
    options_.add("verbose", config_.verbose, {.help = "more lines"});
    options_.add("train-data", config_.train_data, {.help = "files"});
    options_.add_preset("guide", "the published numbers", {{"learning-rate", "5e-5"}, {"max-steps", "10"}});
  }
  std::string complaint(const std::map<std::string, std::vector<std::string>>& flags,
                        const Json& file = Json::object()) {
    return nkat::testing::message_of<ConfigError>([&] { options_.apply(flags, file, "config.json"); });
  }
  Config config_;
  OptionList options_;
};

TEST_F(OptionListTest, FlagsWinOverTheFileAndTheFileOverThePreset) {
  options_.apply({{"max-steps", {"7"}}, {"preset", {"guide"}}}, {{"max_steps", 8}, {"precision", "fp32"}},
                 "config.json");
  EXPECT_EQ(config_.max_steps, 7);
  EXPECT_EQ(config_.precision, "fp32");
  EXPECT_DOUBLE_EQ(config_.learning_rate, 5e-5);
}

TEST_F(OptionListTest, ReportsAllProblemsAtOnce) {
  const std::string text = complaint({{"max-steps", {"0"}}, {"learning-rate", {"fast"}}, {"precision", {"bf61"}}});
  EXPECT_THAT(text, HasSubstr("--max-steps: a whole number at least 1 was expected, found 0"));
  EXPECT_THAT(text, HasSubstr("--learning-rate: a number was expected, found 'fast'"));
  EXPECT_THAT(text, HasSubstr("did you mean 'bf16'?"));
}

TEST_F(OptionListTest, OffersTheNearestNameForAnUnknownKey) {
  EXPECT_THAT(complaint({}, {{"max_stpes", 5}}),
              HasSubstr("key 'max_stpes' is not an option; did you mean 'max_steps'?"));
}

TEST_F(OptionListTest, RefusesAKeyInBothSpellings) {
  EXPECT_THAT(complaint({}, {{"max_steps", 5}, {"max-steps", 6}}), HasSubstr("stands twice"));
}

TEST_F(OptionListTest, SavesWhatItReads) {
  options_.apply({{"train-data", {"a", "b:3"}}, {"verbose", {}}}, Json::object(), "");
  const Json saved = options_.to_json();
  Config copy;
  config_ = copy;
  options_.apply({}, saved, "config.json");
  EXPECT_EQ(options_.to_json(), saved);
  EXPECT_TRUE(config_.verbose);
  EXPECT_EQ(config_.train_data.size(), 2u);
}

TEST(NearestName, FindsATypoAndNothingForAnUnrelatedWord) {
  EXPECT_EQ(nearest_name("lerning-rate", {"learning-rate", "max-steps"}), "learning-rate");
  EXPECT_EQ(nearest_name("zzz", {"learning-rate", "max-steps"}), "");
}

}  // namespace
}  // namespace nkat
