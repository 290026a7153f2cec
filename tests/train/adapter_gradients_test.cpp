#include "train/adapter_gradients.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/triality.h"
#include "tests/support/tolerance.h"

namespace nkat::train {
namespace {

constexpr double kWeight = 0.3;  // of the triality loss

models::Adapter double_adapter() {
  at::manual_seed(5);
  models::Adapter adapter;
  adapter.weight = 0.4 * at::randn({2, 7, 8, 8}, at::kDouble);  // 2 triples and 1 block over
  adapter.alpha = at::tensor({-1.0, 0.5}, at::kDouble);
  return adapter;
}

AdapterMatrixGradients some_matrix_gradients() {
  at::manual_seed(6);
  return {at::randn({7, 8, 8}, at::kDouble), at::randn({7, 8, 8}, at::kDouble)};
}

// Σ <dM, M> + λ mean triality: a function of W and α whose gradient the chain rule must give.
double objective(const models::Adapter& adapter, const AdapterMatrixGradients& matrix_gradients) {
  const AdapterGradients step(adapter, at::kCPU);
  double sum = kWeight * step.triality();
  for (std::size_t i = 0; i < matrix_gradients.size(); ++i)
    sum += (step.matrices()[i].detach() * matrix_gradients[i]).sum().item<double>();
  return sum;
}

double difference_quotient(const std::function<double(double)>& f) {
  constexpr double kStep = testing::kDifferenceStep;
  return (f(kStep) - f(-kStep)) / (2 * kStep);
}

// The objective adds up products whose magnitudes are about 100 a layer: a few roundings of 200.
double allowed_error(double derivative) {
  return testing::central_difference_error(5 * 200) * std::max(1.0, std::abs(derivative));
}

TEST(AdapterGradients, ChainRuleMatchesFiniteDifferences) {
  const models::Adapter adapter = double_adapter();
  const AdapterMatrixGradients matrix_gradients = some_matrix_gradients();
  const auto result = AdapterGradients(adapter, at::kCPU).backward(matrix_gradients, kWeight, Control::kNone);
  for (const std::int64_t i : {1, 77, 200, 447, 450, 895}) {
    const double expected = difference_quotient([&](double by) {
      models::Adapter moved = adapter;
      moved.weight = adapter.weight.clone();
      moved.weight.view(-1)[i] += by;
      return objective(moved, matrix_gradients);
    });
    EXPECT_NEAR(result.gradient.weight.view(-1)[i].item<double>(), expected, allowed_error(expected));
  }
  for (const std::int64_t i : {0, 1}) {
    const double expected = difference_quotient([&](double by) {
      models::Adapter moved = adapter;
      moved.alpha = adapter.alpha.clone();
      moved.alpha[i] += by;
      return objective(moved, matrix_gradients);
    });
    EXPECT_NEAR(result.gradient.alpha[i].item<double>(), expected, allowed_error(expected));
  }
}

TEST(AdapterGradients, GateForceIsMinusTheLossDerivativeByTheGate) {
  const models::Adapter adapter = double_adapter();
  const AdapterMatrixGradients matrix_gradients = some_matrix_gradients();
  const auto result = AdapterGradients(adapter, at::kCPU).backward(matrix_gradients, kWeight, Control::kNone);
  for (std::size_t i = 0; i < 2; ++i) {
    const at::Tensor terms = adapter.rotations()[static_cast<std::int64_t>(i)] * matrix_gradients[i];  // 448
    // Two sums of the same terms, each rounded 50 times where it is added up in blocks or lanes.
    const double allowed = testing::roundings(2 * 50) * terms.abs().sum().item<double>();
    EXPECT_NEAR(result.gate_force[i], -terms.sum().item<double>(), allowed);
  }
}

TEST(AdapterGradients, ControlsHoldWhatTheyFreezeAndStillMeasureTheForce) {
  const models::Adapter adapter = double_adapter();
  const AdapterMatrixGradients matrix_gradients = some_matrix_gradients();
  const AdapterGradients step(adapter, at::kCPU);
  const auto free = step.backward(matrix_gradients, kWeight, Control::kNone);
  const auto identity = step.backward(matrix_gradients, kWeight, Control::kIdentity);
  const auto frozen = step.backward(matrix_gradients, kWeight, Control::kFrozenGates);
  EXPECT_EQ(identity.gradient.weight.abs().max().item<double>(), 0.0);
  EXPECT_TRUE(identity.gradient.alpha.equal(free.gradient.alpha));
  EXPECT_EQ(frozen.gradient.alpha.abs().max().item<double>(), 0.0);
  EXPECT_TRUE(frozen.gradient.weight.equal(free.gradient.weight));
  EXPECT_EQ(frozen.gate_force, free.gate_force);
}

TEST(AdapterGradients, KnowsNoOtherControls) { EXPECT_EQ(value_of("identiy", kControlNames), std::nullopt); }

}  // namespace
}  // namespace nkat::train
