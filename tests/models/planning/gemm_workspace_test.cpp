#include "models/planning/gemm_workspace.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "layers/cpu/attention.h"
#include "tests/support/held_bytes.h"

namespace nkat::models {
namespace {

using testing::HeldBytes;

// What attention's way back has in tensors at its peak beside its result, one thread at work: the plan's bytes, all of
// them, for samples shorter and longer than a block of queries.
TEST(ProductWorkspace, AttentionHoldsWhatThePlanCounts) {
  constexpr layers::HeadShape kHeads{.num_heads = 4, .num_key_value_heads = 2, .head_dim = 32};
  Phi3Config config;
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

TEST(ProductWorkspace, NoMoreThreadsAttendThanThereAreKeyValueHeads) {
  Phi3Config config;
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
