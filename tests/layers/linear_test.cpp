#include "layers/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/message_of.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;

class Linear : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Linear, KeepsNothingButTheWeightForBackward) {
  const std::int64_t before = HeldBytes::now();
  const at::Tensor weight = at::randn({48, 32}).to(GetParam());
  const at::Tensor leaf = at::randn({17, 32}).to(GetParam()).requires_grad_(true);
  at::Tensor x = leaf * 2;  // not a leaf, so that nothing but the linear could hold it
  const at::Tensor y = layers::linear(x, weight);
  x.reset();
  const auto tensors = static_cast<std::int64_t>(weight.nbytes() + leaf.nbytes() + y.nbytes());
  EXPECT_EQ(HeldBytes::now() - before, tensors);
}

TEST_P(Linear, BackwardMakesNoGradientForTheWeight) {
  const at::Tensor weight = at::randn({48, 32}).to(GetParam());
  const at::Tensor leaf = at::randn({17, 32}).to(GetParam()).requires_grad_(true);
  layers::linear(leaf, weight).sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

// Both sides of the row count from which a CPU may widen BF16 (layers/linear.cpp).
TEST_P(Linear, ValuesAndGradientAreAsGoodAsATen) {
  at::manual_seed(4);
  const at::Tensor weight = at::randn({48, 40}).to(GetParam());
  for (const std::int64_t rows : {0, 1, 15, 16, 33}) {
    const at::Tensor x = at::randn({rows, 40}).to(GetParam()), direction = at::randn({rows, 48}).to(GetParam());
    const at::Tensor exact = at::linear(x.to(at::kDouble), weight.to(at::kDouble));
    EXPECT_TRUE(is_as_good_as(layers::linear(x, weight), at::linear(x, weight), exact, kValueFactor)) << rows;
    EXPECT_TRUE(is_as_good_as(linear_fp32_out(x, weight), at::linear(x, weight), exact, kValueFactor)) << rows;
    const at::Tensor ours =
        gradient([&](const at::Tensor& input) { return layers::linear(input, weight); }, x, direction);
    EXPECT_TRUE(is_as_good_as(ours, at::matmul(direction, weight),
                              at::matmul(direction.to(at::kDouble), weight.to(at::kDouble)), kGradientFactor))
        << rows;
  }
}

// From 16 rows the BF16 product reads memory by the sizes alone.
TEST_P(Linear, NamesWhatItRefuses) {
  const at::Tensor weight = at::randn({48, 40}).to(GetParam());
  const auto of = [&](const at::IntArrayRef sizes) { return at::randn(sizes).to(GetParam()); };
  for (const std::int64_t width : {39, 41}) {
    EXPECT_EQ(message_of<ShapeError>([&] {
                layers::linear(of({17, width}), weight);
              }),
              fmt::format("linear: expected x (T, in=40), found (17, {})", width));
    EXPECT_EQ(message_of<ShapeError>([&] {
                linear_fp32_out(of({17, width}), weight);
              }),
              fmt::format("linear_fp32_out: expected x (T, in=40), found (17, {})", width));
  }
  EXPECT_EQ(message_of<ShapeError>([&] {
              linear_backward(of({17, 40}), weight);
            }),
            "linear_backward: expected gradient (T, out=48), found (17, 40)");
  EXPECT_EQ(message_of<ShapeError>([&] {
              layers::linear(of({17, 40}), of({48, 40, 1}));
            }),
            "linear: expected weight (out, in), found (48, 40, 1)");
}

INSTANTIATE_TEST_SUITE_P(Types, Linear, ::testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(Linear, RefusesAWeightThatWantsAGradient) {
  const at::Tensor weight = at::randn({4, 4}).requires_grad_(true);
  EXPECT_THROW(layers::linear(at::randn({2, 4}), weight), InternalError);
}

}  // namespace
}  // namespace nkat::layers
