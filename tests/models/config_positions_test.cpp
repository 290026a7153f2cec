#include "models/config_positions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::models {
namespace {

using Json = ConfigReader::Json;
using layers::RopeScaling;
using nkat::testing::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

ModelConfig read(Family family, const std::string& text) {
  const Json json = Json::parse(text);
  ModelConfig config;
  config.family = family;
  config.num_layers = 4;
  config.head_dim = 8;
  read_positions(ConfigReader("config.json", json), config);
  return config;
}

std::string refusal(Family family, const std::string& text) {
  return message_of<FormatError>([&] { read(family, text); });
}

TEST(ConfigPositions, ScalingsAreRead) {
  const ModelConfig linear = read(Family::kLlama, R"({"rope_scaling": {"type": "linear", "factor": 4}})");
  EXPECT_EQ(linear.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(linear.rope_scaling.factor, 4);
  EXPECT_EQ(linear.max_position_embeddings, 2048);
  const ModelConfig llama3 = read(Family::kLlama, R"({"max_position_embeddings": 131072, "rope_parameters": {
    "rope_type": "llama3", "rope_theta": 500000, "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
    "original_max_position_embeddings": 8192}})");
  EXPECT_EQ(llama3.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(llama3.rope_scaling.original_length, 8192);
  EXPECT_EQ(llama3.rope_theta, 500000);
  // Nothing changes at 8192 tokens.
  EXPECT_EQ(llama3.original_max_position_embeddings, 131072);
}

TEST(ConfigPositions, ScalingsThatAreNotComputedAreRefusedWithTheWayOut) {
  for (const char* type : {"yarn", "dynamic", "longrope"}) {
    EXPECT_THAT(refusal(Family::kQwen2, fmt::format(R"({{"rope_scaling": {{"type": "{}", "factor": 4}}}})", type)),
                AllOf(HasSubstr("rope_type"), HasSubstr(type), HasSubstr("remove rope_scaling")));
  }
  EXPECT_THAT(refusal(Family::kLlama, R"({"rope_scaling": {"type": "linear"}})"), HasSubstr("key factor"));
  EXPECT_THAT(refusal(Family::kLlama, R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
    "high_freq_factor": 4, "original_max_position_embeddings": 8192}})"),
              HasSubstr("high_freq_factor: expected more than low_freq_factor (4), found 4"));
  EXPECT_THAT(refusal(Family::kLlama, R"({"partial_rotary_factor": 0.5})"), HasSubstr("partial_rotary_factor"));
}

// Versions of transformers take the ratio or the factor: only one that both take alike is accepted.
TEST(ConfigPositions, ALongropeFactorMustBeTheRatioOfTheLengths) {
  const auto text = [](const std::string& more) {
    return R"({"max_position_embeddings": 256, "original_max_position_embeddings": 32, "rope_scaling": {
      "type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2])" +
           more + "}}";
  };
  EXPECT_THAT(refusal(Family::kPhi3, text(R"(, "factor": 4)")), AllOf(HasSubstr("factor is 4"), HasSubstr("is 8")));
  EXPECT_EQ(read(Family::kPhi3, text(R"(, "factor": 8)")).attention_factor,
            read(Family::kPhi3, text("")).attention_factor);
  EXPECT_EQ(read(Family::kPhi3, text(R"(, "factor": 4, "attention_factor": 1.5)")).attention_factor, 1.5);
}

TEST(ConfigPositions, WindowsAreReadAsEachFamilysClassReadsThem) {
  EXPECT_EQ(read(Family::kMistral, R"({"sliding_window": 7})").sliding_window, 7);
  EXPECT_EQ(read(Family::kMistral, R"({"sliding_window": null})").sliding_window, std::nullopt);
  EXPECT_EQ(read(Family::kMistral, "{}").sliding_window, 4096);
  EXPECT_EQ(read(Family::kLlama, R"({"sliding_window": 7})").sliding_window, std::nullopt);
  EXPECT_EQ(read(Family::kQwen2, R"({"sliding_window": 7, "max_window_layers": 0})").sliding_window, std::nullopt);
  const auto qwen = [](const std::string& more) {
    return R"({"use_sliding_window": true, "sliding_window": 7, )" + more + "}";
  };
  EXPECT_EQ(read(Family::kQwen2, qwen(R"("max_window_layers": 0)")).sliding_window, 7);
  EXPECT_EQ(read(Family::kQwen3, qwen(R"("max_window_layers": 4)")).sliding_window, std::nullopt);
}

TEST(ConfigPositions, WindowsInSomeLayersOnlyAreRefused) {
  const std::string some = R"("layer_types": ["full_attention", "sliding_attention", "full_attention",
    "sliding_attention"])";
  EXPECT_THAT(refusal(Family::kQwen2, R"({"use_sliding_window": true, "max_window_layers": 3})"),
              HasSubstr("max_window_layers: expected a window in all layers or in none, found one in 1 of 4"));
  EXPECT_THAT(refusal(Family::kQwen3, R"({"use_sliding_window": true, )" + some + "}"), HasSubstr("one in 2 of 4"));
  EXPECT_THAT(refusal(Family::kMistral, "{" + some + "}"), HasSubstr("layer_types"));
  EXPECT_THAT(refusal(Family::kLlama, R"({"layer_types": ["chunked_attention"]})"), HasSubstr("layer_types"));
}

}  // namespace
}  // namespace nkat::models
