#include "layers/kl_divergence.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/gradients.h"
#include "tests/support/message_of.h"

namespace nkat::layers {
namespace {

struct KlCase {
  at::Tensor x, y, head;
};

KlCase example(at::ScalarType type, double distance) {
  at::manual_seed(4);
  const at::Tensor x = at::randn({7, 16}, at::kDouble);
  const at::Tensor y = x + distance * at::randn({7, 16}, at::kDouble);
  return {x.to(type), y.to(type), at::randn({30, 16}, at::kDouble).to(type)};
}

at::Tensor by_definition(const KlCase& c) {
  const at::Tensor p = at::softmax(at::linear(c.x.to(at::kDouble), c.head.to(at::kDouble)), 1);
  const at::Tensor q = at::softmax(at::linear(c.y.to(at::kDouble), c.head.to(at::kDouble)), 1);
  return (p * (p / q).log()).sum(1);
}

TEST(KlDivergence, EqualsItsDefinitionForAnyNumberOfRowsAtATime) {
  const KlCase c = example(at::kDouble, 0.5);
  for (const std::int64_t rows : {1, 3, 7, 8}) {
    EXPECT_LE(testing::relative_error(kl_divergence(c.x, c.y, c.head, rows), by_definition(c)), 1e-13);
  }
}

// From the same float32 logits, whose divergence is about 1e-5: float64 keeps ten digits of it, float32 would keep two.
TEST(KlDivergence, KeepsSmallDifferencesOfFloat32Rows) {
  const KlCase c = example(at::kFloat, 1e-3);
  const at::Tensor log_p = at::log_softmax(at::linear(c.x, c.head).to(at::kDouble), 1);
  const at::Tensor log_q = at::log_softmax(at::linear(c.y, c.head).to(at::kDouble), 1);
  const at::Tensor expected = (log_p.exp() * (log_p - log_q)).sum(1);
  EXPECT_LE(expected.max().item<double>(), 1e-4);
  EXPECT_LE(testing::relative_error(kl_divergence(c.x, c.y, c.head), expected), 1e-9);
}

TEST(KlDivergence, EqualRowsDoNotDiverge) {
  const KlCase c = example(at::kBFloat16, 0.0);
  EXPECT_EQ(kl_divergence(c.x, c.y, c.head).abs().max().item<double>(), 0.0);
}

TEST(KlDivergence, LeadsFromTheFirstToTheSecond) {
  const KlCase c = example(at::kDouble, 1.0);
  EXPECT_GT((kl_divergence(c.x, c.y, c.head) - kl_divergence(c.y, c.x, c.head)).abs().max().item<double>(), 0.01);
}

TEST(KlDivergence, NoRowsGiveNoDivergences) {
  const KlCase c = example(at::kFloat, 1.0);
  EXPECT_EQ(kl_divergence(c.x.narrow(0, 0, 0), c.y.narrow(0, 0, 0), c.head).numel(), 0);
}

TEST(KlDivergence, NamesWhatItRefuses) {
  const auto complaint = [](const KlCase& c) { return testing::message_of([&] { kl_divergence(c.x, c.y, c.head); }); };
  const KlCase c = example(at::kFloat, 1.0);
  EXPECT_EQ(complaint({c.x, c.y.narrow(0, 0, 5), c.head}), "kl_divergence: expected y (7, 16), found (5, 16)");
  EXPECT_EQ(complaint({c.x.to(at::kLong), c.y, c.head}),
            "kl_divergence: expected x of type Float or BFloat16 or Double, found Long");
  EXPECT_EQ(complaint({c.x, c.y.to(at::kDouble), c.head}), "kl_divergence: expected y of type Float, found Double");
  EXPECT_EQ(complaint({c.x, c.y, c.head.to(at::kBFloat16)}),
            "kl_divergence: expected head_weight of type Float, found BFloat16");
  EXPECT_EQ(complaint({c.x, c.y.to(at::kMeta), c.head}), "kl_divergence: expected y on cpu, found meta");
  EXPECT_EQ(complaint({c.x, c.y, c.head.to(at::kMeta)}), "kl_divergence: expected head_weight on cpu, found meta");
  EXPECT_THROW(kl_divergence(c.x, c.y.narrow(0, 0, 5), c.head), ShapeError);
}

}  // namespace
}  // namespace nkat::layers
