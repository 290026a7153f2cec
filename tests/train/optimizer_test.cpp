#include "train/optimizer.h"

#include <cmath>

#include <ATen/ops/full_like.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

namespace nkat::train {
namespace {

models::Adapter small_adapter() {
  models::Adapter adapter;
  adapter.weight = at::linspace(-1, 1, 2 * 64, at::kFloat).view({2, 1, 8, 8}).contiguous();
  adapter.alpha = at::tensor({-5.0F, 1.0F});
  return adapter;
}

// Kingma and Ba's update of one number, in float64.
struct ScalarAdam {
  double value, m = 0, v = 0;
  int updates = 0;
  void update(double gradient, double rate, double epsilon) {
    ++updates;
    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient * gradient;
    value -= rate * (m / (1 - std::pow(0.9, updates))) / (std::sqrt(v / (1 - std::pow(0.999, updates))) + epsilon);
  }
};

TEST(AdamW, FollowsTheTextbookUpdateWithoutDecay) {
  models::Adapter adapter = small_adapter();
  OptimizerState state = OptimizerState::zeros_for(adapter);
  ScalarAdam weight{-1.0}, alpha{-5.0};
  for (int step = 0; step < 5; ++step) {
    const double gradient = 1e-7 * (step % 2 == 0 ? 3 : -1);
    adamw_update(adapter, {at::full_like(adapter.weight, gradient), at::full_like(adapter.alpha, gradient)}, state,
                 {1e-2, 5e-2}, 1e-12);
    weight.update(gradient, 1e-2, 1e-12);
    alpha.update(gradient, 5e-2, 1e-12);
  }
  // Five float32 updates of numbers up to 5: each rounds to half a unit in the last place.
  EXPECT_NEAR(adapter.weight.flatten()[0].item<double>(), weight.value, 5 * 0x1p-24 * 4);
  EXPECT_NEAR(adapter.alpha[0].item<double>(), alpha.value, 5 * 0x1p-23 * 8);
  EXPECT_EQ(state.updates, 5);
}

TEST(AdamW, LeavesParametersAloneWhoseGradientIsZero) {
  models::Adapter adapter = small_adapter();
  const at::Tensor before = adapter.weight.clone();
  OptimizerState state = OptimizerState::zeros_for(adapter);
  adamw_update(adapter, {at::zeros_like(adapter.weight), at::ones_like(adapter.alpha)}, state, {1e-2, 1e-2}, 1e-12);
  EXPECT_TRUE(adapter.weight.equal(before));
  EXPECT_LT(adapter.alpha[0].item<float>(), -5.0F);
}

TEST(Clipping, ScalesBothGroupsToTheGlobalNorm) {
  AdapterGradient gradient{at::full({1, 1, 8, 8}, 3.0F / 8.0F), at::full({1}, 4.0F)};
  const ClipResult result = clip_by_global_norm(gradient, 1.0);
  EXPECT_DOUBLE_EQ(result.norm, 5.0);
  EXPECT_TRUE(result.clipped);
  EXPECT_FLOAT_EQ(gradient.alpha[0].item<float>(), 0.8F);
  EXPECT_NEAR(clip_by_global_norm(gradient, 0.0).norm, 1.0, 1e-6);
}

TEST(Clipping, ZeroOnlyMeasures) {
  AdapterGradient gradient{at::full({1, 1, 8, 8}, 1.0F), at::zeros({1})};
  EXPECT_FALSE(clip_by_global_norm(gradient, 0.0).clipped);
  EXPECT_FLOAT_EQ(gradient.weight.flatten()[0].item<float>(), 1.0F);
}

}  // namespace
}  // namespace nkat::train
