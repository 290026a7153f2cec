#include "core/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

enum class Precision { kAuto, kBf16, kFp32 };
constexpr EnumNames<Precision, 3> kNames = {
    {{Precision::kAuto, "auto"}, {Precision::kBf16, "bf16"}, {Precision::kFp32, "fp32"}}};

struct ExampleConfig {
  std::int64_t max_steps = 5000;
  double learning_rate = 1e-3;
  Precision precision = Precision::kAuto;
  bool verbose = false;
  std::vector<std::string> train_data;
  std::vector<Precision> formats = {Precision::kBf16, Precision::kFp32};
  std::string device = "auto";
};

class OptionListTest : public ::testing::Test {
 protected:
  OptionListTest() {
    options_.add("max-steps", config_.max_steps,
                 {.help = "optimizer steps", .unit = "steps", .minimum = 1, .resume = Resume::kMayChange});
    options_.add("learning-rate", config_.learning_rate,
                 {.help = "rate", .minimum = 0, .maximum = 10, .above_minimum = true, .alias = "step-size"});
    options_.add("precision", config_.precision, kNames, {.help = "compute type"});
    options_.add("verbose", config_.verbose, {.help = "more lines"});
    options_.add("train-data", config_.train_data,
                 {.help = "files", .metavar = "FILE", .resume = Resume::kSameContent, .per_rank = true});
    options_.add("formats", config_.formats, kNames, {.help = "formats to write"});
    options_.add("device", config_.device,
                 {.help = "device", .check = [](const std::string& text) { return text == "gpu" ? "no gpu" : ""; }});
    options_.add_preset("guide", "the published numbers", {{"learning-rate", "5e-5"}, {"max-steps", "10"}});
  }
  // What --help --json says of an option.
  Json declared(const std::string& name) const {
    for (const Json& one : options_.declarations()) {
      if (one.at("name") == name) return one;
    }
    return nullptr;
  }
  std::string complaint(const std::map<std::string, std::vector<std::string>>& flags,
                        const Json& file = Json::object()) {
    return nkat::testing::message_of<ConfigError>([&] { options_.apply(flags, file, "config.json"); });
  }
  ExampleConfig config_;
  OptionList options_;
};

TEST_F(OptionListTest, FlagsWinOverTheFileAndTheFileOverThePreset) {
  options_.apply({{"max-steps", {"7"}}, {"preset", {"guide"}}}, {{"max_steps", 8}, {"precision", "fp32"}},
                 "config.json");
  EXPECT_EQ(config_.max_steps, 7);
  EXPECT_EQ(config_.precision, Precision::kFp32);
  EXPECT_DOUBLE_EQ(config_.learning_rate, 5e-5);
}

TEST_F(OptionListTest, ReportsAllProblemsAtOnce) {
  const std::string text = complaint({{"max-steps", {"0"}}, {"learning-rate", {"fast"}}, {"precision", {"bf61"}}});
  EXPECT_THAT(text, HasSubstr("--max-steps: expected a whole number of at least 1, found 0"));
  EXPECT_THAT(text, HasSubstr("--learning-rate: expected a number, found 'fast'"));
  EXPECT_THAT(text, HasSubstr("did you mean 'bf16'?"));
}

TEST_F(OptionListTest, OffersTheNearestNameForAnUnknownKey) {
  EXPECT_THAT(complaint({}, {{"max_stpes", 5}}),
              HasSubstr("key 'max_stpes' is not an option; did you mean 'max_steps'?"));
}

TEST_F(OptionListTest, RefusesAKeyInBothSpellings) {
  EXPECT_THAT(complaint({}, {{"max_steps", 5}, {"max-steps", 6}}), HasSubstr("duplicate key 'max_steps'"));
}

TEST_F(OptionListTest, SavesWhatItReads) {
  options_.apply({{"train-data", {"a", "b:3"}}, {"verbose", {}}}, Json::object(), "");
  const Json saved = options_.to_json();
  ExampleConfig copy;
  config_ = copy;
  options_.apply({}, saved, "config.json");
  EXPECT_EQ(options_.to_json(), saved);
  EXPECT_TRUE(config_.verbose);
  EXPECT_EQ(config_.train_data.size(), 2u);
}

TEST_F(OptionListTest, NamesWhatARangeAllows) {
  EXPECT_THAT(complaint({{"learning-rate", {"0"}}}),
              HasSubstr("--learning-rate: expected a number above 0 and at most 10, found 0"));
}

TEST_F(OptionListTest, ReadsAndSavesEnumsByTheirNames) {
  options_.apply({{"precision", {"bf16"}}, {"formats", {"fp32"}}}, Json::object(), "");
  EXPECT_EQ(config_.precision, Precision::kBf16);
  EXPECT_THAT(config_.formats, ElementsAre(Precision::kFp32));
  EXPECT_EQ(options_.to_json()["precision"], "bf16");
  EXPECT_EQ(options_.to_json()["formats"], Json::array({"fp32"}));
  EXPECT_THAT(complaint({{"precision", {"fp61"}}}),
              HasSubstr("--precision: expected one of auto, bf16, fp32, found 'fp61'; did you mean 'fp32'?"));
  EXPECT_THAT(complaint({{"formats", {"fp32", "int8"}}}), HasSubstr("--formats: expected one of auto, bf16, fp32"));
}

TEST_F(OptionListTest, TakesANameInAnyCaseAndWithAnyDash) {
  options_.apply({{"precision", {"BF16"}}, {"formats", {"Fp32", "bf16"}}, {"verbose", {"TRUE"}}}, Json::object(), "");
  EXPECT_EQ(config_.precision, Precision::kBf16);
  EXPECT_THAT(config_.formats, ElementsAre(Precision::kFp32, Precision::kBf16));
  EXPECT_TRUE(config_.verbose);
  EXPECT_EQ(options_.to_json()["precision"], "bf16");
  options_.apply({}, {{"precision", "FP32"}, {"formats", {"BF16"}}, {"preset", "Guide"}}, "config.json");
  EXPECT_EQ(config_.precision, Precision::kFp32);
  EXPECT_THAT(config_.formats, ElementsAre(Precision::kBf16));
  EXPECT_EQ(config_.max_steps, 10);
  OptionList others;
  std::string kind = "frozen-gates";
  others.add("kind", kind, {.help = "", .choices = {"q4_k_m", "frozen-gates", "in progress"}});
  for (const auto& [given, meant] : {std::pair{"Q4_K_M", "q4_k_m"},
                                     {"q4-k-m", "q4_k_m"},
                                     {"Frozen_Gates", "frozen-gates"},
                                     {"in_progress", "in progress"}}) {
    others.apply({{"kind", {given}}}, Json::object(), "");
    EXPECT_EQ(kind, meant);
  }
}

TEST_F(OptionListTest, OffersTheNearestChoiceOfEveryKindOfOption) {
  EXPECT_THAT(complaint({{"precision", {"BF61"}}}), HasSubstr("found 'BF61'; did you mean 'bf16'?"));
  EXPECT_THAT(complaint({}, {{"precision", "FP23"}}),
              HasSubstr("key 'precision': expected one of auto, bf16, fp32, found "
                        "'FP23'; did you mean 'fp32'?"));
  EXPECT_THAT(complaint({{"formats", {"fp32", "Bf61"}}}), HasSubstr("found 'Bf61'; did you mean 'bf16'?"));
  EXPECT_THAT(complaint({{"preset", {"Giude"}}}),
              HasSubstr("--preset: expected one of guide, found 'Giude'; did you mean 'guide'?"));
}

TEST_F(OptionListTest, AsksTheOptionsOwnCheck) {
  EXPECT_THAT(complaint({{"device", {"gpu"}}}), HasSubstr("--device: no gpu"));
  EXPECT_EQ(complaint({{"device", {"cpu"}}}), "");
}

TEST_F(OptionListTest, TakesAFormerNameAndSaysTheNewOne) {
  options_.apply({{"step-size", {"0.5"}}}, Json::object(), "");
  EXPECT_THAT(options_.notices(), ElementsAre("--step-size is now --learning-rate; the former name still works"));
  EXPECT_EQ(config_.learning_rate, 0.5);
  EXPECT_TRUE(options_.given("learning-rate"));
  options_.apply({}, {{"step_size", 0.25}}, "config.json");
  EXPECT_THAT(options_.notices(), ElementsAre(HasSubstr("key 'step_size' is now 'learning_rate'")));
  EXPECT_EQ(config_.learning_rate, 0.25);
  EXPECT_FALSE(options_.to_json().contains("step_size"));
  options_.apply({}, Json::object(), "");
  EXPECT_TRUE(options_.notices().empty());
}

TEST_F(OptionListTest, RefusesBothNamesOfAnOption) {
  EXPECT_THAT(complaint({{"step-size", {"1"}}, {"learning-rate", {"2"}}}),
              HasSubstr("--step-size is the former name of --learning-rate; give one of them"));
  EXPECT_THAT(complaint({}, {{"step_size", 1}, {"learning_rate", 2}}), HasSubstr("duplicate key 'learning_rate'"));
}

TEST_F(OptionListTest, DeclaresWhatAResumedRunMayChange) {
  EXPECT_EQ(declared("max-steps")["resume"], "may_change");
  EXPECT_EQ(declared("train-data")["resume"], "same_content");
  EXPECT_EQ(declared("learning-rate")["resume"], "fixed");
}

TEST_F(OptionListTest, DeclaresWhatMayDifferBetweenRanks) {
  EXPECT_EQ(declared("train-data")["per_rank"], true);
  EXPECT_EQ(declared("max-steps")["per_rank"], false);
  const Json shared = options_.to_json([](const OptionInfo& info) { return !info.per_rank; });
  EXPECT_TRUE(shared.contains("max_steps"));
  EXPECT_FALSE(shared.contains("train_data"));
}

TEST_F(OptionListTest, DeclaresEverythingElseAsWell) {
  EXPECT_EQ(declared("learning-rate"), (Json{{"name", "learning-rate"},
                                             {"key", "learning_rate"},
                                             {"type", "number"},
                                             {"metavar", "X"},
                                             {"default", 0.001},
                                             {"minimum", 0.0},
                                             {"above_minimum", true},
                                             {"maximum", 10.0},
                                             {"choices", Json::array()},
                                             {"unit", ""},
                                             {"help", "rate"},
                                             {"required", false},
                                             {"resume", "fixed"},
                                             {"per_rank", false},
                                             {"aliases", Json::array({"step-size"})}}));
  EXPECT_EQ(declared("max-steps")["unit"], "steps");
  EXPECT_EQ(declared("max-steps")["minimum"], 1);
  EXPECT_EQ(declared("max-steps")["maximum"], nullptr);
  EXPECT_EQ(declared("precision")["choices"], (Json{"auto", "bf16", "fp32"}));
  EXPECT_EQ(declared("precision")["default"], "auto");
  EXPECT_EQ(declared("formats")["default"], (Json{"bf16", "fp32"}));
  EXPECT_EQ(declared("verbose")["type"], "switch");
}

TEST(NearestName, FindsATypoAndNothingForAnUnrelatedWord) {
  EXPECT_EQ(nearest_name("lerning-rate", {"learning-rate", "max-steps"}), "learning-rate");
  EXPECT_EQ(nearest_name("zzz", {"learning-rate", "max-steps"}), "");
  EXPECT_EQ(nearest_name("Q4KM", {"q4_0", "q4_k_m"}), "q4_k_m");
}

TEST(NearestName, PrefersTheNameThatTheWordBegins) {
  EXPECT_EQ(nearest_name("q4_k", {"q4_0", "q4_k_m"}), "q4_k_m");
  EXPECT_EQ(nearest_name("--learning", {"--log-every", "--learning-rate"}), "--learning-rate");
}

}  // namespace
}  // namespace nkat
