#include "train/plan_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/model_summary.h"
#include "tests/support/message_of.h"
#include "tests/support/phi35.h"

namespace nkat::train {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::phi35;
using ::testing::StartsWith;

constexpr std::int64_t kBf16 = 2;  // bytes

models::PlanRequest request_for(const TrainConfig& config) {
  return plan_request(phi35(), config, kBf16, /*on_gpu=*/true);
}

RunPlan plan_for(const TrainConfig& config) {
  return plan_run(phi35(), config, request_for(config), {models::known_cards().front()});
}

TEST(PlanReport, ThePublishedRunFitsItsBudget) {
  const TrainConfig config;
  const RunPlan plan = plan_for(config);
  EXPECT_TRUE(plan.fits);
  EXPECT_LE(plan.memory.total(), plan.request.budget_bytes);
  EXPECT_EQ(plan.memory.recomputed_layers, resolve_recomputed_layers(phi35(), config, plan.request));
  EXPECT_EQ(plan.run_samples, 5000 * 32);
}

TEST(PlanReport, AutoRecomputesTheFewestLayersThatFit) {
  TrainConfig config;
  config.dataset.max_sequence_length = 2048;
  const models::PlanRequest request = request_for(config);
  const std::int64_t layers = resolve_recomputed_layers(phi35(), config, request);
  ASSERT_GT(layers, 0);
  EXPECT_LE(models::plan_memory(phi35(), request, layers).total(), request.budget_bytes);
  EXPECT_GT(models::plan_memory(phi35(), request, layers - 1).total(), request.budget_bytes);
}

TEST(PlanReport, TakesTheNumberOfLayersThatIsAskedFor) {
  TrainConfig config;
  config.vram_budget_gib = 80;
  for (const auto& [asked, layers] : {std::pair{"none", 0}, {"full", 32}, {"7", 7}}) {
    config.checkpointing = asked;
    EXPECT_EQ(resolve_recomputed_layers(phi35(), config, request_for(config)), layers);
  }
  config.checkpointing = "33";
  EXPECT_THAT(message_of<ConfigError>([&] { request_for(config); }),
              HasSubstr("--checkpointing: expected at most 32 layers, all that are trained, found 33"));
}

TEST(PlanReport, RefusesWhatTheModelLacks) {
  TrainConfig config;
  config.first_adapter_layer = 32;
  EXPECT_THAT(message_of<ConfigError>([&] { request_for(config); }),
              HasSubstr("--first-adapter-layer: expected 0 to 31 for this model, found 32"));
  config = {};
  config.dataset.max_sequence_length = 131073;
  EXPECT_THAT(message_of<ConfigError>([&] { request_for(config); }), HasSubstr("at most 131072 for this model"));
}

TEST(PlanReport, SaysWhatWouldFit) {
  TrainConfig config;
  config.batch_size = 8;
  config.dataset.max_sequence_length = 4096;
  config.vram_budget_gib = 9;
  EXPECT_THAT(message_of<DeviceError>([&] { resolve_recomputed_layers(phi35(), config, request_for(config)); }),
              HasSubstr("It fits with --batch-size 1"));
  config.vram_budget_gib = 1;
  EXPECT_THAT(message_of<DeviceError>([&] { resolve_recomputed_layers(phi35(), config, request_for(config)); }),
              HasSubstr("raise --vram-budget-gib"));
}

TEST(PlanReport, BoundsHowFarGatesAndAnglesMove) {
  TrainConfig config;
  config.schedule = ScheduleKind::kConstant;
  config.warmup_steps = 0;
  config.max_steps = 100;
  config.alpha_learning_rate = config.learning_rate = 0.01;
  config.alpha_init = -1.0;
  const RunPlan plan = plan_for(config);
  EXPECT_DOUBLE_EQ(plan.alpha_reach, 1.0);
  EXPECT_DOUBLE_EQ(plan.gate_reach, 0.5);
  EXPECT_NEAR(plan.angle_reach, 5.0273, 1e-4);  // cot(pi/16)
}

TEST(PlanReport, WhatAControlFreezesDoesNotMove) {
  TrainConfig config;
  config.control = Control::kFrozenGates;
  EXPECT_EQ(plan_for(config).alpha_reach, 0.0);
  config.control = Control::kIdentity;
  EXPECT_EQ(plan_for(config).angle_reach, 0.0);
}

TEST(PlanReport, TableAndJsonSayTheSame) {
  const TrainConfig config;
  const CardChoice card{models::known_cards().front()};
  const RunPlan plan = plan_for(config);
  const nlohmann::ordered_json json = plan_json(plan, card);
  EXPECT_EQ(json["fits"], true);
  EXPECT_DOUBLE_EQ(json["total_bytes"].get<double>(), plan.memory.total());
  EXPECT_EQ(json["recomputed_layers"], plan.memory.recomputed_layers);
  EXPECT_DOUBLE_EQ(json["hours"].get<double>(), plan.hours.total());
  const std::string table = plan_table(phi35(), config, plan, card);
  EXPECT_THAT(table, HasSubstr("of 11.50 GiB budget: fits"));
  EXPECT_THAT(table, HasSubstr(fmt::format("{} of 32 layers recompute", plan.memory.recomputed_layers)));
  EXPECT_THAT(table, HasSubstr(card.card.name));
}

TEST(PlanReport, TheTableBeginsWithTheModelAsItWillBeHeld) {
  TrainConfig config;
  config.base = models::BaseFormat::kBalanced;
  config.first_adapter_layer = 4;
  const CardChoice card{models::known_cards().front()};
  const std::string model = models::describe(
      phi35(), {.base = models::BaseFormat::kBalanced, .element_bytes = kBf16, .first_adapter_layer = 4});
  EXPECT_THAT(plan_table(phi35(), config, plan_for(config), card), StartsWith(model + "Memory"));
}

}  // namespace
}  // namespace nkat::train
