#include "models/planning/memory_plan.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "layers/cpu/attention.h"
#include "tests/support/held_bytes.h"
#include "tests/support/phi35.h"

namespace nkat::models {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

using testing::HeldBytes;
using testing::phi35;

TEST(MemoryPlan, CountsTheParametersOfPhi35) { EXPECT_EQ(parameter_count(phi35()), 3821079552); }

TEST(MemoryPlan, ThreadsBeyondThePanelsOfAProductHoldNothing) {
  PlanRequest request{.sequence_length = 256, .on_gpu = false, .widened = true};
  const auto total = [&](std::int64_t threads) {
    request.threads = threads;
    return plan_memory(phi35(), request, 0).total();
  };
  EXPECT_LT(total(1), total(2));
  EXPECT_DOUBLE_EQ(total(64), total(128));  // the widest matrix has 64 panels
}

// 100 tokens are computed as 128 rows on a GPU, and as they are on a CPU; what a user is told stays 100.
TEST(MemoryPlan, AGpuHoldsRowsInWholeTiles) {
  const auto total = [&](bool on_gpu, std::int64_t tokens) {
    return plan_memory(phi35(), {.sequence_length = tokens, .head_rows = 64, .on_gpu = on_gpu}, 0).total();
  };
  EXPECT_DOUBLE_EQ(total(true, 100), total(true, 128));
  EXPECT_LT(total(true, 128), total(true, 129));
  EXPECT_LT(total(false, 100), total(false, 128));
  const PlanRequest three{.samples = 3, .sequence_length = 100};
  EXPECT_EQ(three.micro_batch_tokens(), 300);
  EXPECT_EQ(three.micro_batch_rows(), 320);
}

// A layer's matrices have 113,246,208 entries, 31,744 rows and 17,408 columns, of which gate_up 50,331,648, 16,384 and
// 3,072. In 8 bits a byte an entry, 4 a row, 4 a column; in NF4 half a byte an entry, 2 each 32 of them, 4 a column.
// What is in no matrix of a layer has two bytes an entry.
TEST(MemoryPlan, AQuantizedBaseTakesWhatItsFormsTake) {
  const auto bytes = [](BaseFormat kind) { return plan_memory(phi35(), {.forms = formats_of(kind)}, 0).weights; };
  constexpr double kLayers = 32, kEntries = 3821079552, kRest = 2 * (kEntries - kLayers * 113246208);
  EXPECT_DOUBLE_EQ(bytes(BaseFormat::kSafe), 2 * kEntries);
  EXPECT_DOUBLE_EQ(bytes(BaseFormat::kBalanced), kRest + kLayers * (113246208 + 4 * 31744 + 4 * 17408));
  const double in_8_bits = (113246208 - 50331648) + 4 * (31744 - 16384) + 4 * 17408;
  EXPECT_DOUBLE_EQ(bytes(BaseFormat::kAggressive), kRest + kLayers * (in_8_bits + 50331648 / 2 + 2 * 50331648 / 32));
}

TEST(MemoryPlan, AnAggressiveBaseFitsACardOfEightGigabytes) {
  PlanRequest request{.sequence_length = 1024, .budget_bytes = 7.5 * kGiB};
  EXPECT_FALSE(fewest_recomputed_layers(phi35(), request).has_value());
  request.forms = formats_of(BaseFormat::kAggressive);
  EXPECT_EQ(fewest_recomputed_layers(phi35(), request), 0);
}

TEST(MemoryPlan, TiedEmbeddingsCountOnce) {
  ModelConfig config = phi35();
  config.tie_word_embeddings = true;
  EXPECT_EQ(parameter_count(config), 3821079552 - 32064 * 3072);
}

// Two norm inputs, q k v and attention's output, gate and up, h: 6144 B each unit of H; log-sum-exp and two scales.
TEST(MemoryPlan, KeepsWhatALayerKeeps) {
  EXPECT_EQ(kept_bytes_per_token(phi35(), 2), 2 * 6144 + 4 * 6144 + 2 * 16384 + 6144 + 32 * 4 + 8);
}

TEST(MemoryPlan, RecomputesOnlyAsManyLayersAsTheBudgetAsks) {
  PlanRequest request{.sequence_length = 1024, .budget_bytes = 11.5 * kGiB};
  EXPECT_EQ(fewest_recomputed_layers(phi35(), request), 0);
  request.sequence_length = 4096;
  const auto layers = fewest_recomputed_layers(phi35(), request);
  ASSERT_TRUE(layers && *layers > 0);
  EXPECT_LE(plan_memory(phi35(), request, *layers).total(), request.budget_bytes);
  EXPECT_GT(plan_memory(phi35(), request, *layers - 1).total(), request.budget_bytes);
  request.budget_bytes = 7 * kGiB;
  EXPECT_FALSE(fewest_recomputed_layers(phi35(), request).has_value());
}

// The way back reaches the layers that recompute when those above, which kept theirs, are free again.
TEST(MemoryPlan, RecomputingNeedsRoomOfItsOwnOnlyWhereNoLayerKeepsItsActivations) {
  const PlanRequest request{.sequence_length = 1024};
  const auto workspace = [&](std::int64_t recomputed) { return plan_memory(phi35(), request, recomputed).workspace; };
  EXPECT_EQ(workspace(16), workspace(0));
  EXPECT_EQ(workspace(30), workspace(0));
  EXPECT_EQ(workspace(31), workspace(0) + 1024 * kept_bytes_per_token(phi35(), 2));
  EXPECT_EQ(workspace(32), workspace(31));
}

// M, its gradient and the window's sum; on the host R, W and two moments beside them. A copy: 32 x 3072 x 8 float32.
TEST(MemoryPlan, TheAdaptersOtherCopiesCountWhereTheDeviceIsTheHost) {
  constexpr double kCopy = 32.0 * 3072 * 8 * 4;
  EXPECT_EQ(plan_memory(phi35(), {.on_gpu = true}, 0).adapter, 3 * kCopy);
  EXPECT_EQ(plan_memory(phi35(), {.on_gpu = false}, 0).adapter, 7 * kCopy);
}

TEST(MemoryPlan, PacksAsManyTokensAsFitWithoutRecomputingMore) {
  PlanRequest request{.sequence_length = 256, .budget_bytes = 11.5 * kGiB};
  EXPECT_EQ(packable_tokens(phi35(), request, 0, 1024), 1024);
  request.packed_tokens = packable_tokens(phi35(), request, 0, 1 << 20);
  EXPECT_GT(request.packed_tokens, 1024);
  EXPECT_LE(plan_memory(phi35(), request, 0).total(), request.budget_bytes);
  request.packed_tokens += 64;
  EXPECT_GT(plan_memory(phi35(), request, 0).total(), request.budget_bytes);
}

TEST(MemoryPlan, PacksNothingWhereOneSampleFillsTheBudget) {
  const PlanRequest request{.sequence_length = 4096, .budget_bytes = 11.5 * kGiB};
  EXPECT_EQ(packable_tokens(phi35(), request, *fewest_recomputed_layers(phi35(), request), 4096), 0);
  EXPECT_EQ(request.micro_batch_tokens(), 4096);
}

TEST(MemoryPlan, TheLongestSequenceFitsAndTheNextDoesNot) {
  PlanRequest request{.budget_bytes = 11.5 * kGiB};
  request.sequence_length = longest_sequence(phi35(), request);
  EXPECT_LE(plan_memory(phi35(), request, 32).total(), request.budget_bytes);
  request.sequence_length += 64;
  EXPECT_GT(plan_memory(phi35(), request, 32).total(), request.budget_bytes);
}

TEST(MemoryPlan, ALaterFirstAdapterLayerKeepsLess) {
  const PlanRequest all{.sequence_length = 512}, top{.sequence_length = 512, .first_adapter_layer = 16};
  EXPECT_LT(plan_memory(phi35(), top, 0).activations, 0.55 * plan_memory(phi35(), all, 0).activations);
}

// What attention's way back has in tensors at its peak beside its result, one thread at work: the plan's bytes, all of
// them, for samples shorter and longer than a block of queries.
TEST(MemoryPlan, AttentionHoldsWhatThePlanCounts) {
  constexpr layers::HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 32};
  ModelConfig config;
  config.num_heads = kHeads.num_heads;
  config.num_key_value_heads = kHeads.num_key_value_heads;
  config.head_dim = kHeads.head_dim;
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  for (const std::int64_t length : {50, 400}) {
    HeldBytes::now();
    const at::Tensor qkv = at::randn({length, 8 * 32}), gradient = at::randn({length, 4 * 32});
    const layers::cpu::Attended attended = layers::cpu::causal_attention(qkv, {length}, kHeads);
    const std::int64_t held = HeldBytes::now();
    HeldBytes::forget_peak();
    const at::Tensor result = layers::cpu::causal_attention_backward(gradient, qkv, attended, {length}, kHeads);
    const PlanRequest request{.sequence_length = length, .on_gpu = false};
    EXPECT_EQ(static_cast<double>(HeldBytes::peak() - held - static_cast<std::int64_t>(result.nbytes())),
              attention_workspace(config, request));
  }
  at::set_num_threads(before);
}

TEST(MemoryPlan, NoMoreThreadsAttendThanThereAreKeyValueHeads) {
  ModelConfig config;
  config.num_heads = 8;
  config.num_key_value_heads = 2;
  config.head_dim = 32;
  const auto bytes = [&](std::int64_t threads) {
    return attention_workspace(config, {.on_gpu = false, .threads = threads});
  };
  EXPECT_DOUBLE_EQ(bytes(2), 2 * bytes(1));
  EXPECT_DOUBLE_EQ(bytes(8), bytes(2));
  EXPECT_EQ(attention_workspace(config, {.on_gpu = true}), 0);
}

}  // namespace
}  // namespace nkat::models
