#include "layers/gate.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/so8_rotation.h"
#include "tests/support/message_of.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using ::nkat::testing::max_abs;
using ::nkat::testing::max_error;

class GateTest : public ::testing::Test {
 protected:
  GateTest() { at::manual_seed(3); }
  const at::Tensor rotation_ = so8_rotation(at::randn({9, 8, 8}, at::kDouble));
  const at::Tensor gradient_ = at::randn({9, 8, 8}, at::kDouble);
};

TEST_F(GateTest, IsTheSigmoid) {
  EXPECT_DOUBLE_EQ(sigmoid(0.0), 0.5);
  EXPECT_NEAR(sigmoid(-5.0), 0.0066928509, 1e-10);
  EXPECT_EQ(sigmoid(1000.0), 1.0);
  EXPECT_EQ(sigmoid(-1000.0), 0.0);
  EXPECT_NEAR(sigmoid_derivative(sigmoid(0.7)), (sigmoid(0.7 + 1e-6) - sigmoid(0.7 - 1e-6)) / 2e-6, 1e-9);
}

TEST_F(GateTest, TheMatrixIsIdentityPlusGatedRotationRoundedOnce) {
  const double g = sigmoid(-1.3);
  const at::Tensor reference = at::eye(8, at::kDouble) + g * rotation_;
  EXPECT_LE(max_error(adapter_matrix(g, rotation_), reference), 0x1p-52);
  const at::Tensor narrow = adapter_matrix(g, rotation_.to(at::kFloat));
  EXPECT_EQ(narrow.scalar_type(), at::kFloat);
  EXPECT_LE(max_error(narrow, at::eye(8, at::kDouble) + g * rotation_.to(at::kFloat).to(at::kDouble)), 0x1p-24);
}

TEST_F(GateTest, BackwardEqualsFiniteDifferences) {
  const double g = 0.4, step = 1e-6;
  const GateGradient found = adapter_matrix_backward(g, rotation_, gradient_);
  const auto loss = [&](double at) { return (adapter_matrix(at, rotation_) * gradient_).sum().item<double>(); };
  EXPECT_NEAR(found.gate, (loss(g + step) - loss(g - step)) / (2 * step), 1e-6 * std::abs(found.gate));
  EXPECT_LE(max_error(found.rotation, g * gradient_), 0.0);
}

TEST_F(GateTest, BackwardSumsInDoubleForFloat32) {
  const at::Tensor rotation = rotation_.to(at::kFloat), gradient = gradient_.to(at::kFloat);
  const double exact = (rotation.to(at::kDouble) * gradient.to(at::kDouble)).sum().item<double>();
  EXPECT_DOUBLE_EQ(adapter_matrix_backward(0.1, rotation, gradient).gate, exact);
  EXPECT_EQ(adapter_matrix_backward(0.1, rotation, gradient).rotation.scalar_type(), at::kFloat);
}

TEST_F(GateTest, NamesWhatItRefuses) {
  EXPECT_EQ(
      nkat::testing::message_of<ShapeError>([&] { adapter_matrix_backward(0.1, rotation_, gradient_.slice(0, 0, 4)); }),
      "adapter_matrix_backward: expected matrix_gradient (N=9, 8, 8), found (4, 8, 8)");
}

}  // namespace
}  // namespace nkat::layers
