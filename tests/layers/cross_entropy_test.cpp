#include "layers/cross_entropy.h"

#include <ATen/ops/nll_loss.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/cpu/loops.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/message_of.h"
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

// From the same logits. Losses: the sum of 30 exponentials, exp, log and two differences, either side; the largest loss
// is above 1. Gradients: those 35 roundings of each probability and a product's sum of 30 terms, either side, relative
// to |softmax - onehot| |W|, which is at most twice the largest entry.
TEST(CrossEntropy, EqualsCrossEntropyAndItsGradient) {
  const Case c = example(at::kDouble);
  const CrossEntropy loss = cross_entropy(c.x, c.targets, c.head, {.scale = 0.3, .want_gradient = true});
  EXPECT_LE(testing::relative_error(loss.losses, plain_losses(c, c.x)), testing::roundings(2 * 40));
  const at::Tensor expected =
      testing::gradient([&](const at::Tensor& x) { return plain_losses(c, x); }, c.x, at::full({7}, 0.3, at::kDouble));
  EXPECT_LE(testing::relative_error(loss.gradient, expected), testing::roundings(2 * 2 * (35 + 30)));
}

// The logits differ as well, by two sums of 16 terms: 32 roundings of |x| |W|, which is up to 17 (the largest loss is
// 14). A loss has two of them, its target's and a mean; the probabilities together move by as much as a logit, at
// weights up to 3.5, about the largest entry of the gradient.
TEST(CrossEntropy, DoesNotDependOnTheRowsAtATime) {
  const Case c = example(at::kDouble);
  const CrossEntropy whole = cross_entropy(c.x, c.targets, c.head, {.want_gradient = true});
  for (const std::int64_t rows : {1, 3, 7, 8}) {
    const CrossEntropy pieces = cross_entropy(c.x, c.targets, c.head, {.want_gradient = true, .chunk_rows = rows});
    EXPECT_LE(testing::relative_error(pieces.losses, whole.losses), testing::roundings(2 * 32 * 17 / 14.0 + 2 * 5));
    EXPECT_LE(testing::relative_error(pieces.gradient, whole.gradient),
              testing::roundings(32 * 17 + 2 * 2 * (35 + 30)));
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

TEST(CrossEntropy, NamesWhatItRefuses) {
  const auto complaint = [](const Case& c) {
    return testing::message_of([&] { cross_entropy(c.x, c.targets, c.head, {}); });
  };
  const Case c = example(at::kFloat);
  EXPECT_EQ(complaint({c.x, c.targets.narrow(0, 0, 5), c.head}), "cross_entropy: expected targets (R=7), found (5)");
  EXPECT_EQ(complaint({c.x.to(at::kHalf), c.targets, c.head.to(at::kHalf)}),
            "cross_entropy: expected x of type Float or BFloat16 or Double, found Half");
  EXPECT_EQ(complaint({c.x, c.targets.to(at::kInt), c.head}),
            "cross_entropy: expected targets of type Long, found Int");
  EXPECT_EQ(complaint({c.x, c.targets, c.head.to(at::kDouble)}),
            "cross_entropy: expected head_weight of type Float, found Double");
  EXPECT_EQ(complaint({c.x, c.targets.to(at::kMeta), c.head}), "cross_entropy: expected targets on cpu, found meta");
  EXPECT_EQ(complaint({c.x, c.targets, c.head.to(at::kMeta)}),
            "cross_entropy: expected head_weight on cpu, found meta");
  EXPECT_THROW(cross_entropy(c.x, c.targets.narrow(0, 0, 5), c.head, {}), ShapeError);
}

}  // namespace
}  // namespace nkat::layers
