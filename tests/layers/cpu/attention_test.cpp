#include "layers/cpu/attention.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <gtest/gtest.h>

#include "layers/attention.h"
#include "tests/support/gradients.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;

PackedSequences packed_by(const std::vector<std::int64_t>& lengths) {
  return {.lengths = lengths, .angles = {}, .masks = std::vector<at::Tensor>(lengths.size())};
}

// ATen's own attention, a sample at a time, in the type of qkv.
at::Tensor plain_attention(const at::Tensor& qkv, const std::vector<std::int64_t>& lengths, const HeadShape& heads) {
  const std::int64_t d = heads.head_dim;
  std::vector<at::Tensor> attended;
  for (const at::Tensor& sample : qkv.split_with_sizes(lengths, 0)) {
    const auto parts =
        sample.split_with_sizes({heads.num_heads * d, heads.num_key_value_heads * d, heads.num_key_value_heads * d}, 1);
    const auto by_head = [&](const at::Tensor& x) {
      return x.reshape({x.size(0), -1, d}).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor out = at::scaled_dot_product_attention(by_head(parts[0]), by_head(parts[1]), by_head(parts[2]), {},
                                                            0.0, /*is_causal=*/true, std::nullopt, /*enable_gqa=*/true);
    attended.push_back(out.squeeze(0).transpose(0, 1).reshape({sample.size(0), -1}));
  }
  return at::cat(attended);
}

struct Batch {
  std::string name;
  std::vector<std::int64_t> lengths;
  HeadShape heads;
};

class AttentionLoops : public ::testing::TestWithParam<Batch> {};

// A block is 128 queries: lengths on both sides of it, and of two.
TEST_P(AttentionLoops, AreAsGoodAsATenForwardAndBackward) {
  const auto& [name, lengths, heads] = GetParam();
  at::manual_seed(5);
  std::int64_t tokens = 0;
  for (const std::int64_t length : lengths) tokens += length;
  const std::int64_t width = (heads.num_heads + 2 * heads.num_key_value_heads) * heads.head_dim;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor qkv = (2 * at::randn({tokens, width})).to(type);
    const at::Tensor direction = at::randn({tokens, heads.num_heads * heads.head_dim}).to(type);
    const TensorFunction ours = [&](const at::Tensor& x) { return causal_attention(x, packed_by(lengths), heads); };
    const TensorFunction theirs = [&](const at::Tensor& x) { return plain_attention(x, lengths, heads); };
    const at::Tensor wide = qkv.to(at::kDouble);
    EXPECT_TRUE(is_as_good_as(ours(qkv), theirs(qkv), theirs(wide), kValueFactor)) << type;
    EXPECT_TRUE(is_as_good_as(gradient(ours, qkv, direction), gradient(theirs, qkv, direction),
                              gradient(theirs, wide, direction.to(at::kDouble)), kGradientFactor))
        << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, AttentionLoops,
                         ::testing::Values(Batch{"OneToken", {1}, {2, 2, 8}}, Batch{"ABlock", {128}, {2, 2, 16}},
                                           Batch{"MoreThanABlock", {129}, {2, 2, 16}},
                                           Batch{"ThreeBlocks", {300}, {1, 1, 96}},
                                           Batch{"Samples", {31, 1, 130, 33}, {3, 3, 24}},
                                           Batch{"SharedKeys", {65, 140}, {6, 2, 8}}),
                         [](const auto& test) { return test.param.name; });

TEST(AttentionLoops, HugeScoresStayFinite) {
  const at::Tensor qkv = at::full({140, 48}, 1e4f);
  const cpu::Attended attended = cpu::causal_attention(qkv, {140}, {2, 2, 8});
  EXPECT_TRUE(at::allclose(attended.out, at::full({140, 16}, 1e4f)));
  EXPECT_TRUE(attended.log_sum_exps.isfinite().all().item<bool>());
}

TEST(AttentionLoops, WhatIsNotANumberReachesEveryLaterTokenOfItsSampleAlone) {
  at::Tensor qkv = at::randn({20, 24});
  qkv[7][8] = std::nan("");  // a key of the first sample's token 7
  const at::Tensor out = cpu::causal_attention(qkv, {12, 8}, {1, 1, 8}).out;
  EXPECT_TRUE(out.narrow(0, 0, 7).isfinite().all().item<bool>());
  EXPECT_TRUE(out.narrow(0, 7, 5).isnan().all().item<bool>());
  EXPECT_TRUE(out.narrow(0, 12, 8).isfinite().all().item<bool>());
}

TEST(AttentionLoops, NoTokensGiveNoRows) {
  EXPECT_EQ(cpu::causal_attention(at::empty({0, 24}), {}, {1, 1, 8}).out.numel(), 0);
}

}  // namespace
}  // namespace nkat::layers
