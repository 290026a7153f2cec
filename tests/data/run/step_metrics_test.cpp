#include "data/run/step_metrics.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/mutations.h"
#include "tests/support/step_metrics.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;
using testing::metrics_of_step;

TEST(StepMetrics, HoldsEveryKeyOfTheContract) {
  const auto json = nlohmann::json::parse(to_json_line(metrics_of_step(3)));
  for (const char* key : {"step", "loss", "triality", "lambda", "tokens", "target_tokens", "grad_norm",
                          "weight_grad_rms", "learning_rate", "alpha_learning_rate", "alpha", "gate_force",
                          "step_seconds", "tokens_per_second", "memory_bytes"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_FALSE(json.contains("validation_loss"));
  EXPECT_FALSE(json.contains("skipped"));
  EXPECT_EQ(json["tokens_per_second"], 50.0);
}

TEST(StepMetrics, WritesNullForWhatIsNotFiniteAndReadsItBackAsNaN) {
  StepMetrics metrics = metrics_of_step(1);
  metrics.loss = INFINITY;
  metrics.gate_force = {NAN, 1.0};
  metrics.skipped = "the loss is not finite";
  const std::string text = to_json_line(metrics);
  EXPECT_THAT(text, HasSubstr("\"loss\":null"));
  EXPECT_THAT(text, HasSubstr("\"gate_force\":[null,1.0]"));
  EXPECT_TRUE(std::isnan(parse_metrics_line(text, "test").loss));
}

TEST(StepMetrics, ReadsBackWhatItWroteBitForBit) {
  StepMetrics metrics = metrics_of_step(7);
  metrics.loss = 1.0 / 3.0;
  metrics.validation_loss = 2.0 / 7.0;
  EXPECT_EQ(to_json_line(parse_metrics_line(to_json_line(metrics), "test")), to_json_line(metrics));
}

TEST(StepMetrics, KeepsAValidationLossThatIsNotFinite) {
  StepMetrics metrics = metrics_of_step(2);
  metrics.validation_loss = NAN;
  ASSERT_TRUE(parse_metrics_line(to_json_line(metrics), "test").validation_loss.has_value());
  EXPECT_TRUE(std::isnan(*parse_metrics_line(to_json_line(metrics), "test").validation_loss));
}

TEST(StepMetrics, NamesEveryKeyThatIsMissingOrOfAnotherType) {
  const auto complete = nlohmann::ordered_json::parse(to_json_line(metrics_of_step(3)));
  for (const auto& entry : complete.items()) {
    if (entry.key() == "tokens_per_second") continue;  // derived, not read back
    for (const bool missing : {true, false}) {
      nlohmann::ordered_json damaged = complete;
      damaged[entry.key()] = "many";
      if (missing) damaged.erase(entry.key());
      const std::string message = nkat::testing::complaint_about(
          [](const std::string& text) { parse_metrics_line(text, "metrics.jsonl:3"); }, damaged.dump());
      EXPECT_THAT(message, HasSubstr("metrics.jsonl:3: key '" + entry.key() + "': expected ")) << message;
      EXPECT_THAT(message, HasSubstr(missing ? "found nothing" : "found \"many\"")) << message;
    }
  }
}

}  // namespace
}  // namespace nkat::data
