#include "layers/quantized/int8.h"

#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/isnan.h>
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
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kInt8Columns = 96, kInt8Rows = 1040;  // more rows than one tile of the result holds
const std::vector<std::int64_t> kTokenCounts = {0, 1, 31, 33};

Int8Matrix quantized(const at::Tensor& w, Int8Passes passes) {
  Int8Matrix matrix = empty_int8_matrix(w.size(0), w.size(1), w.device(), passes);
  matrix.channel_scales.copy_(at::linspace(0.1, 3, w.size(1)));
  set_rows(matrix, 0, w.narrow(0, 0, 8));
  set_rows(matrix, 8, w.narrow(0, 8, w.size(0) - 8));
  return matrix;
}

at::Tensor widened(const Int8Matrix& matrix) {
  return matrix.values.to(at::kDouble) * matrix.scales.to(at::kDouble).unsqueeze(1) * matrix.channel_scales;
}

// Rounding x by rows moves an entry by half a step at most: half of max|row| / 127, or 1/254 of that with two passes.
// The scale, its inverse, x by its channel scale and x by the inverse are float32, each off by at most 2^-24 of itself,
// the residual of a second pass by 2^-24 of half a step more.
at::Tensor input_error(const at::Tensor& x, std::int64_t passes) {
  const at::Tensor largest = std::get<0>(x.to(at::kDouble).abs().max(1, true));
  return largest * ((passes == 1 ? 0.5 : 0.5 / 254) / 127 + 5 * 0x1p-24);
}

// |y - x W| for the W that is held: sum over k of the error of x times |W|, at most seven float32 operations on the sum
// (two conversions, 1/254, the addition, the three scales), and the result's own rounding.
void expect_within_bound(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w, std::int64_t passes) {
  const at::Tensor wide = x.to(at::kDouble), exact = wide.mm(w);
  const at::Tensor bound = input_error(x, passes) * w.abs().sum(0) + 7 * 0x1p-24 * wide.abs().mm(w.abs()) +
                           unit_in_the_last_place(y.scalar_type()) / 2 * exact.abs();
  EXPECT_LE((y.to(at::kDouble) - exact).abs().sub(bound).max().item<double>(), 0) << y.scalar_type() << passes;
}

class Int8MatrixOf : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
};

TEST_P(Int8MatrixOf, AWeightIsHalfAStepOffAtMost) {
  const at::Tensor w = random({kInt8Rows, kInt8Columns});
  const Int8Matrix matrix = quantized(w, {});
  const at::Tensor scaled = w.to(at::kDouble) / matrix.channel_scales;
  const at::Tensor step = std::get<0>(scaled.abs().max(1, true)) / 127;
  const at::Tensor off = (widened(matrix) / matrix.channel_scales - scaled).abs() / step;
  EXPECT_LE(off.max().item<double>(), 0.5 + 5 * 127 * 0x1p-24);  // float32 operations, each on at most 127 steps
}

TEST_P(Int8MatrixOf, BothDirectionsAreWithinTheRoundingOfTheirInput) {
  const at::Tensor w = random({kInt8Rows, kInt8Columns});
  for (const std::int64_t passes : {1, 2}) {
    const Int8Matrix matrix = quantized(w, {passes, passes});
    for (const std::int64_t tokens : kTokenCounts) {
      const at::Tensor x = random({tokens, kInt8Columns}), dy = random({tokens, kInt8Rows});
      const at::Tensor y = int8_linear(x, matrix), dx = int8_linear_backward(dy, matrix);
      ASSERT_EQ(y.sizes(), at::IntArrayRef({tokens, kInt8Rows}));
      ASSERT_EQ(dx.sizes(), at::IntArrayRef({tokens, kInt8Columns}));
      EXPECT_EQ(y.scalar_type(), GetParam());
      if (tokens == 0) continue;
      // x meets the channel scales before it is rounded, the gradient the row scales.
      const at::Tensor values = matrix.values.to(at::kDouble);
      expect_within_bound(y, x.to(at::kDouble) * matrix.channel_scales, values.t() * matrix.scales, passes);
      expect_within_bound(dx, dy.to(at::kDouble) * matrix.scales, values * matrix.channel_scales, passes);
    }
  }
}

TEST_P(Int8MatrixOf, AutogradGivesTheTransposedProduct) {
  const Int8Matrix matrix = quantized(random({kInt8Rows, kInt8Columns}), {1, 2});
  const at::Tensor x = random({33, kInt8Columns}), dy = random({33, kInt8Rows});
  const at::Tensor dx = gradient([&](const at::Tensor& at) { return int8_linear(at, matrix); }, x, dy);
  EXPECT_TRUE(at::equal(dx, int8_linear_backward(dy, matrix)));
}

TEST_P(Int8MatrixOf, KeepsNothingButTheMatrixForBackward) {
  const Int8Matrix matrix = quantized(random({16, 32}), {});
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = random({17, 32}).requires_grad_(true);
  at::Tensor x = leaf * 2;
  const at::Tensor y = int8_linear(x, matrix);
  x.reset();
  EXPECT_EQ(HeldBytes::now() - before, static_cast<std::int64_t>(leaf.nbytes() + y.nbytes()));
}

TEST_P(Int8MatrixOf, ATokenDoesNotDependOnItsNeighbors) {
  const Int8Matrix matrix = quantized(random({kInt8Rows, kInt8Columns}), {2, 2});
  const at::Tensor x = random({33, kInt8Columns});
  EXPECT_TRUE(at::equal(int8_linear(x, matrix).narrow(0, 5, 3), int8_linear(x.narrow(0, 5, 3), matrix)));
}

TEST_P(Int8MatrixOf, BitsDependOnNoNumberOfThreads) {
  const Int8Matrix matrix = quantized(random({kInt8Rows, kInt8Columns}), {2, 1});
  const at::Tensor x = random({257, kInt8Columns}), dy = random({257, kInt8Rows});
  const int threads = at::get_num_threads();
  const at::Tensor y = int8_linear(x, matrix), dx = int8_linear_backward(dy, matrix);
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(y, int8_linear(x, matrix)));
  EXPECT_TRUE(at::equal(dx, int8_linear_backward(dy, matrix)));
  at::set_num_threads(threads);
}

TEST_P(Int8MatrixOf, NonContiguousInputsGiveTheSame) {
  const Int8Matrix matrix = quantized(random({kInt8Rows, kInt8Columns}), {});
  const at::Tensor x = random({kInt8Columns, 31}).t();
  EXPECT_TRUE(at::equal(int8_linear(x, matrix), int8_linear(x.contiguous(), matrix)));
}

INSTANTIATE_TEST_SUITE_P(Types, Int8MatrixOf, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(Int8Matrix, ZeroRowsGiveZerosAndLargeOnesAreExactAtTheirPeak) {
  at::Tensor w = at::randn({16, 32});
  w[3].zero_();
  const Int8Matrix matrix = quantized(w, {2, 2});
  at::Tensor x = at::randn({4, 32});
  x[1].zero_();
  x[2] *= 1e30;
  const at::Tensor y = int8_linear(x, matrix);
  EXPECT_EQ(max_abs(y.select(1, 3)), 0);
  EXPECT_EQ(max_abs(y[1]), 0);
  EXPECT_TRUE(at::isfinite(y).all().item<bool>());
}

// One channel a thousand times the others: one pass rounds the others away, a second keeps them.
TEST(Int8Matrix, ASecondPassKeepsWhatStandsBesideAnOutlier) {
  const at::Tensor w = at::randn({64, 64});
  at::Tensor x = at::randn({32, 64});
  x.select(1, 7).fill_(1000);
  const auto rest = [&](const at::Tensor& y, const at::Tensor& held) {
    const at::Tensor large = x.select(1, 7).to(at::kDouble).unsqueeze(1) * held.select(1, 7);
    return y.to(at::kDouble) - large;
  };
  const auto cosine = [&](Int8Passes passes) {
    const Int8Matrix matrix = quantized(w, passes);
    const at::Tensor held = widened(matrix);
    const at::Tensor exact = x.to(at::kDouble).mm(held.t());
    return at::cosine_similarity(rest(int8_linear(x, matrix), held).flatten(), rest(exact, held).flatten(), 0)
        .item<double>();
  };
  EXPECT_LT(cosine({1, 1}), 0.9);
  EXPECT_GT(cosine({2, 2}), 0.9999);
}

TEST(Int8Matrix, WhatIsNotFiniteShowsInItsRowAndNoOther) {
  const Int8Matrix matrix = quantized(at::randn({16, 32}), {2, 2});
  for (const float value : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    at::Tensor x = at::randn({3, 32});
    x[1][4] = value;
    const at::Tensor y = int8_linear(x, matrix);
    EXPECT_TRUE(at::isnan(y[1]).all().item<bool>());
    EXPECT_TRUE(at::isfinite(y[0]).all().item<bool>() && at::isfinite(y[2]).all().item<bool>());
  }
}

TEST(Int8Matrix, RefusesSidesThatAreNoMultiplesOfEightOrTooLong) {
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{12, 8}, {8, 12}, {8, 131080}, {0, 8}}) {
    EXPECT_THAT(([&, n = rows, k = columns] { empty_int8_matrix(n, k, at::kCPU, {}); }),
                ThrowsMessage<ShapeError>(AllOf(HasSubstr("multiples of 8"), HasSubstr(std::to_string(columns)))));
  }
}

TEST(Int8Matrix, NamesAWrongInput) {
  const Int8Matrix matrix = quantized(at::randn({16, 32}), {});
  EXPECT_THAT([&] { int8_linear(at::randn({3, 31}), matrix); }, ThrowsMessage<ShapeError>(HasSubstr("(T, K=32)")));
  EXPECT_THAT(
      [&] {
        int8_linear(at::randn({3, 32}, at::kDouble), matrix);
      },
      ThrowsMessage<ShapeError>(HasSubstr("Double")));
}

}  // namespace
}  // namespace nkat::layers
