#include "layers/activation_checkpointing.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::layers {
namespace {

constexpr std::int64_t kLayers = 4, kFirstTrained = 1;

struct Pass {
  at::Tensor output;                  // (T, H)
  std::vector<at::Tensor> gradients;  // (H, H) of each layer's weight; undefined: none
  std::vector<std::int64_t> calls;    // layers in the order in which they ran, the backward pass included
};

// tanh(x W_i) with four small weights, forward and backward.
Pass run(std::int64_t recomputed) {
  at::manual_seed(5);
  std::vector<at::Tensor> weights;
  for (std::int64_t i = 0; i < kLayers; ++i) weights.push_back(at::randn({8, 8}).requires_grad_(i >= kFirstTrained));
  Pass pass;
  CheckpointedLayers layers(kLayers, kFirstTrained, recomputed, [&](std::int64_t index, const at::Tensor& x) {
    pass.calls.push_back(index);
    return x.mm(weights[static_cast<std::size_t>(index)]).tanh();
  });
  pass.output = layers.forward(at::randn({5, 8}));
  layers.backward(at::ones({5, 8}));
  for (const at::Tensor& weight : weights) pass.gradients.push_back(weight.grad());
  return pass;
}

TEST(CheckpointedLayers, GradientsAreTheSameBitsForEveryNumberOfRecomputedLayers) {
  const Pass kept = run(0);
  EXPECT_FALSE(kept.output.requires_grad());
  EXPECT_FALSE(kept.gradients[0].defined());
  for (const std::int64_t recomputed : {1, 2, 3}) {
    const Pass pass = run(recomputed);
    EXPECT_TRUE(at::equal(pass.output, kept.output));
    for (std::size_t i = kFirstTrained; i < kLayers; ++i)
      EXPECT_TRUE(at::equal(pass.gradients[i], kept.gradients[i])) << recomputed << " recomputed, layer " << i;
  }
}

TEST(CheckpointedLayers, RecomputesFromTheSecondLowestUpAndTheLowestLast) {
  EXPECT_EQ(run(0).calls, (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(run(1).calls, (std::vector<std::int64_t>{0, 1, 2, 3, 2}));
  EXPECT_EQ(run(2).calls, (std::vector<std::int64_t>{0, 1, 2, 3, 3, 2}));
  EXPECT_EQ(run(3).calls, (std::vector<std::int64_t>{0, 1, 2, 3, 3, 2, 1}));
}

TEST(CheckpointedLayers, BackwardNeedsAForward) {
  CheckpointedLayers layers(1, 0, 0, [](std::int64_t, const at::Tensor& x) { return x; });
  EXPECT_THROW(layers.backward(at::ones({1, 8})), InternalError);
}

}  // namespace
}  // namespace nkat::layers
