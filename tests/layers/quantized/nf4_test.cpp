#include "layers/quantized/nf4.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linspace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kNf4Rows = 72, kNf4Columns = 200;       // the last block of a row holds eight
constexpr std::int64_t kManyRows = 4096, kManyColumns = 2048;  // two tiles in either direction

Nf4Matrix as_nf4(const at::Tensor& w) {
  Nf4Matrix matrix = empty_nf4_matrix(w.size(0), w.size(1), w.device());
  matrix.channel_scales.copy_(at::linspace(0.1, 3, w.size(1)));
  set_rows(matrix, 0, w);
  return matrix;
}

at::Tensor as_wide(const Nf4Matrix& matrix) {
  return widen(matrix, {.row = 0, .count = matrix.codes.size(0), .column = 0, .width = matrix.columns()}, at::kFloat);
}

class Nf4Product : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
};

// Against the weights that are held: no more error than plain ATen makes in the same type.
TEST_P(Nf4Product, BothDirectionsAreTheProductsWithTheWeightsHeld) {
  const Nf4Matrix matrix = as_nf4(at::randn({kNf4Rows, kNf4Columns}));
  const at::Tensor w = as_wide(matrix), exact = w.to(at::kDouble), typed = w.to(GetParam());
  for (const std::int64_t tokens : {0, 1, 31, 33}) {
    const at::Tensor x = random({tokens, kNf4Columns}), dy = random({tokens, kNf4Rows});
    EXPECT_TRUE(
        is_as_good_as(nf4_linear(x, matrix), at::linear(x, typed), x.to(at::kDouble).mm(exact.t()), kValueFactor));
    EXPECT_TRUE(
        is_as_good_as(nf4_linear_backward(dy, matrix), dy.mm(typed), dy.to(at::kDouble).mm(exact), kGradientFactor));
  }
}

TEST_P(Nf4Product, TilesMeetWithoutASeam) {
  const Nf4Matrix matrix = as_nf4(at::randn({kManyRows, kManyColumns}) / 32);
  const at::Tensor w = as_wide(matrix), typed = w.to(GetParam());
  const at::Tensor x = random({3, kManyColumns}), dy = random({3, kManyRows});
  EXPECT_TRUE(is_as_good_as(nf4_linear(x, matrix), at::linear(x, typed), x.to(at::kDouble).mm(w.to(at::kDouble).t()),
                            kValueFactor));
  EXPECT_TRUE(is_as_good_as(nf4_linear_backward(dy, matrix), dy.mm(typed), dy.to(at::kDouble).mm(w.to(at::kDouble)),
                            kGradientFactor));
}

TEST_P(Nf4Product, AutogradGivesTheTransposedProductAndKeepsNothingElse) {
  const Nf4Matrix matrix = as_nf4(at::randn({kNf4Rows, kNf4Columns}));
  const at::Tensor x = random({33, kNf4Columns}), dy = random({33, kNf4Rows});
  const at::Tensor dx = gradient([&](const at::Tensor& at) { return nf4_linear(at, matrix); }, x, dy);
  EXPECT_TRUE(at::equal(dx, nf4_linear_backward(dy, matrix)));
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = random({17, kNf4Columns}).requires_grad_(true);
  at::Tensor input = leaf * 2;
  const at::Tensor y = nf4_linear(input, matrix);
  input.reset();
  EXPECT_EQ(HeldBytes::now() - before, static_cast<std::int64_t>(leaf.nbytes() + y.nbytes()));
}

// More threads than one divide a product of this size, and BLAS adds in another order with another number of them.
TEST_P(Nf4Product, BitsAreTheSameOnEveryRunWithTheSameNumberOfThreads) {
  const int threads = at::get_num_threads();
  const Nf4Matrix matrix = as_nf4(at::randn({kManyRows, kManyColumns}));
  const at::Tensor x = random({33, kManyColumns}), dy = random({33, kManyRows});
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    EXPECT_TRUE(at::equal(nf4_linear(x, matrix), nf4_linear(x.clone(), matrix))) << count;
    EXPECT_TRUE(at::equal(nf4_linear_backward(dy, matrix), nf4_linear_backward(dy.clone(), matrix))) << count;
  }
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Types, Nf4Product, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(Nf4Linear, NamesAWrongInput) {
  const Nf4Matrix matrix = as_nf4(at::randn({8, 64}));
  EXPECT_THAT([&] { nf4_linear(at::randn({3, 31}), matrix); }, ThrowsMessage<ShapeError>(HasSubstr("(T, K=64)")));
}

}  // namespace
}  // namespace nkat::layers
