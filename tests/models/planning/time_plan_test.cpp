#include "models/planning/time_plan.h"

#include <gtest/gtest.h>

#include "tests/support/phi35.h"

namespace nkat::models {
namespace {

using testing::phi35;

const Card& rtx_3060() { return known_cards().front(); }

double hours_of_5000_steps(const PlanRequest& request, double efficiency = 0.65) {
  const TimeByKind seconds = micro_batch_seconds(micro_batch_work(phi35(), request, 0), rtx_3060(), efficiency);
  return 160000.0 * static_cast<double>(request.sequence_length) / static_cast<double>(request.micro_batch_tokens()) *
         seconds.total() / 3600;
}

TEST(TimePlan, ForwardAndBackwardOfASampleAreFifteenGigaflopsAToken) {
  const double flops = sample_flops(phi35(), {.sequence_length = 512}, 0) / 512;
  EXPECT_NEAR(flops / 1e9, 15.0, 0.1);
  EXPECT_NEAR(sample_flops(phi35(), {.sequence_length = 512}, 31) / 512 / 1e9, 22.1, 0.15);
}

TEST(TimePlan, ALaterFirstAdapterLayerComputesLess) {
  const PlanRequest all{.sequence_length = 512}, top{.sequence_length = 512, .first_adapter_layer = 16};
  EXPECT_LT(sample_flops(phi35(), top, 0), sample_flops(phi35(), all, 0));
}

// 160,000 samples of 512 tokens at 15.0 GFLOP a token and 0.65 of 25.5 TFLOP/s: 20.6 hours.
TEST(TimePlan, TheDenseBaseTakesItsOperationsAtTheBf16Peak) {
  const PlanRequest request{.sequence_length = 512, .packed_tokens = 1024};
  const MicroBatchWork work = micro_batch_work(phi35(), request, 0);
  EXPECT_NEAR(work.bf16_operations, 2 * sample_flops(phi35(), request, 0), 1e-9 * work.bf16_operations);
  EXPECT_EQ(work.int8_operations + work.int8_back_operations + work.quantization_bytes, 0);
  EXPECT_NEAR(hours_of_5000_steps(request), 20.6, 0.1);
}

// Two terms forward and one back, of 2 x 113,246,208 operations a token in each of 32 (31) layers.
TEST(TimePlan, EightBitMatricesTakeTheirOperationsAtTheInt8Peak) {
  PlanRequest request{.sequence_length = 256};
  const MicroBatchWork dense = micro_batch_work(phi35(), request, 0);
  request.forms = formats_of(BaseFormat::kBalanced);
  const MicroBatchWork work = micro_batch_work(phi35(), request, 0);
  const double layer = 2.0 * 113246208 * 256;
  EXPECT_DOUBLE_EQ(work.int8_operations, 32 * 2 * layer);
  EXPECT_DOUBLE_EQ(work.int8_back_operations, 31 * layer);
  EXPECT_NEAR(work.bf16_operations, dense.bf16_operations - 63 * layer, 1e-9 * dense.bf16_operations);
  const TimeByKind seconds = micro_batch_seconds({.int8_operations = 101.9e12}, rtx_3060(), 0.5);
  EXPECT_DOUBLE_EQ(seconds.int8, 2);
  EXPECT_DOUBLE_EQ(seconds.total(), seconds.int8);
}

// A layer's inputs have 17,408 channels, its outputs 31,744. Forward, in two terms, 88 and 50
// bytes of each entry; back, in one, 34 and 55.
TEST(TimePlan, RoundingAndScalingTakeTheMemorysTime) {
  PlanRequest request{.sequence_length = 256, .forms = formats_of(BaseFormat::kBalanced)};
  const double forward = 88 * 17408 + 50 * 31744, back = 34 * 17408 + 55 * 31744;
  EXPECT_DOUBLE_EQ(micro_batch_work(phi35(), request, 0).quantization_bytes, 256 * (32 * forward + 31 * back));
}

// gate_up's 50,331,648 weights are widened once a pass whatever the tokens, so that packing pays.
TEST(TimePlan, WideningNf4CostsTheSameForAnyNumberOfTokens) {
  PlanRequest request{.sequence_length = 256};
  request.forms.gate_up = {.storage = WeightFormat::Storage::kNf4};
  const MicroBatchWork one = micro_batch_work(phi35(), request, 0);
  EXPECT_DOUBLE_EQ(one.quantization_bytes, 39.0 * 50331648 * 63);
  EXPECT_EQ(one.int8_operations, 0);
  const double single = hours_of_5000_steps(request);
  request.packed_tokens = 1024;
  EXPECT_DOUBLE_EQ(micro_batch_work(phi35(), request, 0).quantization_bytes, one.quantization_bytes);
  EXPECT_LT(hours_of_5000_steps(request), single);
}

TEST(TimePlan, PaddedRowsAndRecomputedLayersCostTime) {
  const auto operations = [](std::int64_t tokens, std::int64_t recomputed) {
    return micro_batch_work(phi35(), {.sequence_length = tokens}, recomputed).bf16_operations;
  };
  EXPECT_GT(operations(65, 0), 1.9 * operations(64, 0));
  EXPECT_GT(operations(64, 1), operations(64, 0));
}

}  // namespace
}  // namespace nkat::models
