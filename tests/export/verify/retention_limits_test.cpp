#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/error.h"
#include "export/verify/adapter_retention.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;

TEST(SurvivalLimits, AreHalfAndFourUnlessTold) {
  const SurvivalLimits limits;
  EXPECT_EQ(limits.of("q4_K").minimum_survived, 0.5);
  EXPECT_EQ(limits.of("q4_K").maximum_noise, 4);
}

TEST(SurvivalLimits, OfATypeGoBeforeThoseOfAll) {
  const SurvivalLimits limits({"q4_k=-3", "all=0.25"}, {"Q6_K=9e1"});
  EXPECT_EQ(limits.of("q4_K").minimum_survived, -3);
  EXPECT_EQ(limits.of("q8_0").minimum_survived, 0.25);
  EXPECT_EQ(limits.of("q6_K").maximum_noise, 90);
  EXPECT_EQ(limits.of("q4_K").maximum_noise, 4);
}

TEST(SurvivalLimits, RefuseOtherWords) {
  for (const char* word : {"", "0.5", "=1", "q4_K", "q4_K=", "q4_K=x", "q4_K=1x", "q4_K=nan", "q4_K=inf", "q9=1"}) {
    EXPECT_THROW(SurvivalLimits({word}, {}), ConfigError) << word;
    EXPECT_THROW(SurvivalLimits({}, {word}), ConfigError) << word;
  }
}

TEST(SurvivalLimits, DecideWhatIsLost) {
  const TensorSurvival one{.change = 1e-3, .survived = 0.4, .noise = 5};
  const auto with = [&](double minimum, double maximum) {
    TensorSurvival limited = one;
    limited.limit = {minimum, maximum};
    return limited.fate();
  };
  EXPECT_EQ(one.fate(), Fate::kLost);
  EXPECT_EQ(with(0.4, 5), Fate::kWeak);
  EXPECT_EQ(with(0.41, 5), Fate::kLost);
  EXPECT_EQ(with(0.4, 4.9), Fate::kLost);
  TensorSurvival unchanged = one;
  unchanged.change = 0;
  EXPECT_EQ(unchanged.fate(), Fate::kUnchanged);
}

TEST(SurvivalLimits, NamesTheOptionsThatAcceptWhatWasLost) {
  std::vector<TensorSurvival> lost = {{.type = "q4_0", .change = 1, .survived = -16.21, .noise = 561.9},
                                      {.type = "q4_0", .change = 1, .survived = 0.7, .noise = 4.01},
                                      {.type = "q6_K", .change = 1, .survived = 0.0494, .noise = 1}};
  const std::string text = accepting_options(lost);
  EXPECT_EQ(text, "--minimum-survived q4_0=-17 q6_K=0.049 --maximum-noise q4_0=570");
  const SurvivalLimits accepting({"q4_0=-17", "q6_K=0.049"}, {"q4_0=570"});
  for (TensorSurvival& one : lost) {
    one.limit = accepting.of(one.type);
    EXPECT_EQ(one.fate(), Fate::kWeak);
  }
}

}  // namespace
}  // namespace nkat::exporting
