#include "layers/frozen_linear.h"

#include <gtest/gtest.h>

#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"

namespace nkat::layers {
namespace {

using nkat::testing::HeldBytes;

class FrozenLinear : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(FrozenLinear, KeepsNothingButTheWeightForBackward) {
  const std::int64_t before = HeldBytes::now();
  const at::Tensor weight = at::randn({48, 32}).to(GetParam());
  const at::Tensor leaf = at::randn({17, 32}).to(GetParam()).requires_grad_(true);
  at::Tensor x = leaf * 2;  // not a leaf, so that nothing but the linear could hold it
  const at::Tensor y = frozen_linear(x, weight);
  x.reset();
  const auto tensors = static_cast<std::int64_t>(weight.nbytes() + leaf.nbytes() + y.nbytes());
  EXPECT_EQ(HeldBytes::now() - before, tensors);
}

TEST_P(FrozenLinear, BackwardMakesNoGradientForTheWeight) {
  const at::Tensor weight = at::randn({48, 32}).to(GetParam());
  const at::Tensor leaf = at::randn({17, 32}).to(GetParam()).requires_grad_(true);
  frozen_linear(leaf, weight).sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

INSTANTIATE_TEST_SUITE_P(Types, FrozenLinear, ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(FrozenLinear, RefusesAWeightThatWantsAGradient) {
  const at::Tensor weight = at::randn({4, 4}).requires_grad_(true);
  EXPECT_THROW(frozen_linear(at::randn({2, 4}), weight), InternalError);
}

}  // namespace
}  // namespace nkat::layers
