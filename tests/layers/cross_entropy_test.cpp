#include "layers/cross_entropy.h"

#include <ATen/ops/nll_loss.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/cpu/loops.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/thread_counts.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

struct Case {
  at::Tensor x, targets, head;
};

Case example(at::ScalarType type) {
  at::manual_seed(3);
  return {at::randn({7, 16}, type), at::randint(0, 30, {7}, at::kLong), at::randn({30, 16}, type)};
}

at::Tensor plain_losses(const Case& c, const at::Tensor& x) {
  return at::nll_loss(at::log_softmax(at::linear(x, c.head), 1), c.targets, {}, at::Reduction::None);
}

TEST(CrossEntropy, EqualsCrossEntropyAndItsGradient) {
  const Case c = example(at::kDouble);
  const CrossEntropy loss = cross_entropy(c.x, c.targets, c.head, {.scale = 0.3, .want_gradient = true});
  EXPECT_LE(testing::relative_error(loss.losses, plain_losses(c, c.x)), 1e-14);
  const at::Tensor expected =
      testing::gradient([&](const at::Tensor& x) { return plain_losses(c, x); }, c.x, at::full({7}, 0.3, at::kDouble));
  EXPECT_LE(testing::relative_error(loss.gradient, expected), 1e-13);
}

TEST(CrossEntropy, DoesNotDependOnTheRowsAtATime) {
  const Case c = example(at::kDouble);
  const CrossEntropy whole = cross_entropy(c.x, c.targets, c.head, {.want_gradient = true});
  for (const std::int64_t rows : {1, 3, 7, 8}) {
    const CrossEntropy pieces = cross_entropy(c.x, c.targets, c.head, {.want_gradient = true, .chunk_rows = rows});
    EXPECT_LE(testing::relative_error(pieces.losses, whole.losses), 1e-14);
    EXPECT_LE(testing::relative_error(pieces.gradient, whole.gradient), 1e-13);
  }
}

TEST(CrossEntropy, StaysFiniteForHugeLogits) {
  Case c = example(at::kFloat);
  c.head.mul_(1e4);
  EXPECT_TRUE(cross_entropy(c.x, c.targets, c.head, {.want_gradient = true}).losses.isfinite().all().item<bool>());
}

TEST(CrossEntropy, KeepsTheTypeOfTheRowsForTheGradientAndFloat32ForTheLosses) {
  const Case c = example(at::kBFloat16);
  const CrossEntropy loss = cross_entropy(c.x, c.targets, c.head, {.want_gradient = true});
  EXPECT_EQ(loss.losses.scalar_type(), at::kFloat);
  EXPECT_EQ(loss.gradient.scalar_type(), at::kBFloat16);
}

TEST(CrossEntropy, NoRowsGiveNoLosses) {
  const Case c = example(at::kFloat);
  EXPECT_EQ(cross_entropy(c.x.narrow(0, 0, 0), c.targets.narrow(0, 0, 0), c.head, {}).losses.numel(), 0);
}

// The loop alone, since the product before it is the BLAS's. A row is the least that a thread takes.
TEST(CrossEntropy, DoesNotDependOnTheThreadCount) {
  at::manual_seed(6);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor logits = (4 * at::randn({37, 2501})).to(type), targets = at::randint(0, 2501, {37}, at::kLong);
    testing::expect_same_bits_for_any_thread_count([&] {
      const at::Tensor gradient = logits.clone(),
                       losses = at::empty({37}, type == at::kDouble ? at::kDouble : at::kFloat);
      cpu::softmax_loss_(gradient, targets, losses, {.scale = 0.3, .wanted = true});
      return std::vector{losses, gradient};
    });
  }
}

Case on_gpu(std::int64_t rows, std::int64_t vocabulary, at::ScalarType type) {
  at::manual_seed(5);
  const auto normal = [&](at::IntArrayRef shape) { return at::randn(shape).to(at::kCUDA, type); };
  return {normal({rows, 16}), at::randint(0, vocabulary, {rows}, at::kLong).to(at::kCUDA), normal({vocabulary, 16})};
}

TEST(TokenLossGpu, IsAsGoodAsPlainATen) {
  NKAT_SKIP_WITHOUT_CUDA();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t vocabulary : {2, 33, 1024, 32064}) {
      for (const std::int64_t rows : {0, 1, 31, 33}) {
        const Case c = on_gpu(rows, vocabulary, type);
        const Case exact{c.x.to(at::kCPU, at::kDouble), c.targets.cpu(), c.head.to(at::kCPU, at::kDouble)};
        const auto gradient_of = [&](const Case& of) {
          return testing::gradient([&](const at::Tensor& x) { return plain_losses(of, x); }, of.x,
                                   at::full({rows}, 0.3, of.x.options()));
        };
        const CrossEntropy ours = cross_entropy(c.x, c.targets, c.head, {.scale = 0.3, .want_gradient = true});
        const at::Tensor reference = plain_losses(exact, exact.x), reference_gradient = gradient_of(exact);
        EXPECT_TRUE(testing::is_as_good_as(ours.losses, plain_losses(c, c.x), reference, testing::kValueFactor))
            << type << ' ' << vocabulary;
        EXPECT_TRUE(testing::is_as_good_as(ours.gradient, gradient_of(c), reference_gradient, testing::kGradientFactor))
            << type << ' ' << vocabulary;
        const CrossEntropy again = cross_entropy(c.x, c.targets, c.head, {.scale = 0.3, .want_gradient = true});
        EXPECT_TRUE(at::equal(again.losses, ours.losses) && at::equal(again.gradient, ours.gradient));
      }
    }
  }
}

TEST(CrossEntropy, NamesAWrongShape) {
  const Case c = example(at::kFloat);
  EXPECT_THROW(cross_entropy(c.x, c.targets.narrow(0, 0, 5), c.head, {}), ShapeError);
}

}  // namespace
}  // namespace nkat::layers
