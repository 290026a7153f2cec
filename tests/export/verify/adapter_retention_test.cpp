#include "export/verify/adapter_retention.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;

TEST(RetentionLimits, AreHalfAndFourUnlessTold) {
  const RetentionLimits limits;
  EXPECT_EQ(limits.of("q4_K").minimum_retained, 0.5);
  EXPECT_EQ(limits.of("q4_K").maximum_noise, 4);
}

TEST(RetentionLimits, OfATypeGoBeforeThoseOfAll) {
  const RetentionLimits limits({"q4_k=-3", "all=0.25"}, {"Q6_K=9e1"});
  EXPECT_EQ(limits.of("q4_K").minimum_retained, -3);
  EXPECT_EQ(limits.of("q8_0").minimum_retained, 0.25);
  EXPECT_EQ(limits.of("q6_K").maximum_noise, 90);
  EXPECT_EQ(limits.of("q4_K").maximum_noise, 4);
}

TEST(RetentionLimits, RefuseOtherWords) {
  for (const char* word : {"", "0.5", "=1", "q4_K", "q4_K=", "q4_K=x", "q4_K=1x", "q4_K=nan", "q4_K=inf", "q9=1"}) {
    EXPECT_THROW(RetentionLimits({word}, {}), ConfigError) << word;
    EXPECT_THROW(RetentionLimits({}, {word}), ConfigError) << word;
  }
}

TEST(RetentionLimits, DecideWhatIsLost) {
  const TensorRetention one{.change = 1e-3, .retained = 0.4, .noise = 5};
  const auto with = [&](double minimum, double maximum) {
    TensorRetention limited = one;
    limited.limit = {minimum, maximum};
    return limited.status();
  };
  EXPECT_EQ(one.status(), RetentionStatus::kLost);
  EXPECT_EQ(with(0.4, 5), RetentionStatus::kWeak);
  EXPECT_EQ(with(0.41, 5), RetentionStatus::kLost);
  EXPECT_EQ(with(0.4, 4.9), RetentionStatus::kLost);
  TensorRetention unchanged = one;
  unchanged.change = 0;
  EXPECT_EQ(unchanged.status(), RetentionStatus::kUnchanged);
}

TEST(TensorRetention, IsWeakWhereItIsATenthOffOrTheNoiseIsAboveTheChange) {
  const auto status = [](double retained, double noise) {
    return TensorRetention{.change = 1e-3, .retained = retained, .noise = noise}.status();
  };
  EXPECT_EQ(status(0.9 + 1e-9, 0), RetentionStatus::kKept);
  EXPECT_EQ(status(0.9 - 1e-9, 0), RetentionStatus::kWeak);
  EXPECT_EQ(status(1.1 - 1e-9, 0), RetentionStatus::kKept);
  EXPECT_EQ(status(1.1 + 1e-9, 0), RetentionStatus::kWeak);
  EXPECT_EQ(status(1, 1), RetentionStatus::kKept);
  EXPECT_EQ(status(1, std::nextafter(1.0, 2.0)), RetentionStatus::kWeak);
  EXPECT_EQ(status(1, 4), RetentionStatus::kWeak);
  EXPECT_EQ(status(1, std::nextafter(4.0, 5.0)), RetentionStatus::kLost);
}

TEST(RetentionLimits, NamesTheOptionsThatAcceptWhatWasLost) {
  std::vector<TensorRetention> lost = {{.type = "q4_0", .change = 1, .retained = -16.21, .noise = 561.9},
                                       {.type = "q4_0", .change = 1, .retained = 0.7, .noise = 4.01},
                                       {.type = "q6_K", .change = 1, .retained = 0.0494, .noise = 1}};
  const std::string text = accepting_options(lost);
  EXPECT_EQ(text, "--min-retention q4_0=-17 q6_K=0.049 --max-noise q4_0=570");
  const RetentionLimits accepting({"q4_0=-17", "q6_K=0.049"}, {"q4_0=570"});
  for (TensorRetention& one : lost) {
    one.limit = accepting.of(one.type);
    EXPECT_EQ(one.status(), RetentionStatus::kWeak);
  }
}

}  // namespace
}  // namespace nkat::exporting
