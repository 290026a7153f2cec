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

constexpr std::int64_t kRows = 72, kColumns = 200;             // the last block of a row holds eight
constexpr std::int64_t kManyRows = 4096, kManyColumns = 2048;  // two tiles in either direction

at::Tensor scales_of(std::int64_t columns) { return at::linspace(0.1, 3, columns); }

Nf4Matrix quantized(const at::Tensor& w) {
  Nf4Matrix matrix = empty_nf4_matrix(w.size(0), w.size(1), w.device());
  matrix.channel_scales.copy_(scales_of(w.size(1)));
  set_rows(matrix, 0, w.narrow(0, 0, 5));
  set_rows(matrix, 5, w.narrow(0, 5, w.size(0) - 5));
  return matrix;
}

at::Tensor widened(const Nf4Matrix& matrix, at::ScalarType type = at::kFloat) {
  return widen(matrix, {.row = 0, .count = matrix.codes.size(0), .column = 0, .width = matrix.columns()}, type);
}

// By the definition: every entry of a block against all sixteen levels, in float64.
at::Tensor nearest_levels(const at::Tensor& w) {
  const at::Tensor levels = at::tensor(std::vector<double>(kNf4Levels.begin(), kNf4Levels.end()), at::kDouble);
  std::vector<at::Tensor> blocks;
  const at::Tensor scales = scales_of(w.size(1));
  for (const at::Tensor& block : (w * scales.reciprocal()).to(at::kDouble).split(kNf4Block, 1)) {
    const at::Tensor largest = block.abs().amax(1, true).to(at::kFloat).to(at::kBFloat16).to(at::kDouble);
    const at::Tensor choice = ((block / largest).unsqueeze(-1) - levels).abs().argmin(-1);
    blocks.push_back(levels.index_select(0, choice.flatten()).view(block.sizes()) * largest);
  }
  return at::cat(blocks, 1) * scales.to(at::kDouble);
}

TEST(Nf4Matrix, EveryWeightBecomesTheNearestLevelOfItsBlock) {
  const at::Tensor w = at::randn({kRows, kColumns});
  const at::Tensor held = widened(quantized(w)), nearest = nearest_levels(w);
  EXPECT_LE(max_error(held, nearest), 0x1p-22 * max_abs(nearest));
  // Half the widest gap, between -1 and -0.696, and the rounding of a scale, 2^-8 of it.
  const at::Tensor scaled = w / scales_of(kColumns), off = held / scales_of(kColumns) - scaled;
  EXPECT_LE((off.abs() / std::get<0>(scaled.abs().max(1, true))).max().item<double>(), 0.152 * (1 + 0x1p-8));
}

// As bitsandbytes stores them: level 15 of the even column in the upper half, 7 (zero) of the odd one in the lower.
TEST(Nf4Matrix, TheEvenColumnTakesTheUpperHalfOfAByte) {
  const Nf4Matrix matrix = quantized(at::tensor({0.2f, 0.0f}).expand({8, 2}));
  EXPECT_EQ(matrix.codes[0][0].item<int>(), 0xf7);
  EXPECT_EQ(matrix.scales[0][0].item<float>(), 2.0f);
}

TEST(Nf4Matrix, TheLoopsAgreeWithPlainOperations) {
  const at::Tensor w = at::randn({kRows, kColumns});
  const Nf4Matrix fast = quantized(w);
  Nf4Matrix slow = empty_nf4_matrix(kRows, kColumns, at::kCPU);
  slow.channel_scales.copy_(fast.channel_scales);
  plain::set_rows(slow, 0, w);
  EXPECT_TRUE(at::equal(fast.codes, slow.codes));
  EXPECT_TRUE(at::equal(fast.scales, slow.scales));
  const Nf4Tile tile{.row = 3, .count = 40, .column = 64, .width = kColumns - 64};
  EXPECT_TRUE(at::equal(cpu::widen(fast, tile), plain::widen(fast, tile, at::kFloat)));
  EXPECT_TRUE(at::equal(cpu::widen(fast, tile), widened(fast).narrow(0, 3, 40).narrow(1, 64, kColumns - 64)));
  EXPECT_TRUE(at::equal(widened(fast, at::kBFloat16), widened(fast).to(at::kBFloat16)));
}

class Nf4Product : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
};

// Against the weights that are held: no more error than plain ATen makes in the same type.
TEST_P(Nf4Product, BothDirectionsAreTheProductsWithTheWeightsHeld) {
  const Nf4Matrix matrix = quantized(at::randn({kRows, kColumns}));
  const at::Tensor w = widened(matrix), exact = w.to(at::kDouble), typed = w.to(GetParam());
  for (const std::int64_t tokens : {0, 1, 31, 33}) {
    const at::Tensor x = random({tokens, kColumns}), dy = random({tokens, kRows});
    EXPECT_TRUE(
        is_as_good_as(nf4_linear(x, matrix), at::linear(x, typed), x.to(at::kDouble).mm(exact.t()), kValueFactor));
    EXPECT_TRUE(
        is_as_good_as(nf4_linear_backward(dy, matrix), dy.mm(typed), dy.to(at::kDouble).mm(exact), kGradientFactor));
  }
}

TEST_P(Nf4Product, TilesMeetWithoutASeam) {
  const Nf4Matrix matrix = quantized(at::randn({kManyRows, kManyColumns}) / 32);
  const at::Tensor w = widened(matrix), typed = w.to(GetParam());
  const at::Tensor x = random({3, kManyColumns}), dy = random({3, kManyRows});
  EXPECT_TRUE(is_as_good_as(nf4_linear(x, matrix), at::linear(x, typed), x.to(at::kDouble).mm(w.to(at::kDouble).t()),
                            kValueFactor));
  EXPECT_TRUE(is_as_good_as(nf4_linear_backward(dy, matrix), dy.mm(typed), dy.to(at::kDouble).mm(w.to(at::kDouble)),
                            kGradientFactor));
}

TEST_P(Nf4Product, AutogradGivesTheTransposedProductAndKeepsNothingElse) {
  const Nf4Matrix matrix = quantized(at::randn({kRows, kColumns}));
  const at::Tensor x = random({33, kColumns}), dy = random({33, kRows});
  const at::Tensor dx = gradient([&](const at::Tensor& at) { return nf4_linear(at, matrix); }, x, dy);
  EXPECT_TRUE(at::equal(dx, nf4_linear_backward(dy, matrix)));
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = random({17, kColumns}).requires_grad_(true);
  at::Tensor input = leaf * 2;
  const at::Tensor y = nf4_linear(input, matrix);
  input.reset();
  EXPECT_EQ(HeldBytes::now() - before, static_cast<std::int64_t>(leaf.nbytes() + y.nbytes()));
}

// More threads than one divide a product of this size, and BLAS adds in another order with another number of them.
TEST_P(Nf4Product, BitsAreTheSameOnEveryRunWithTheSameNumberOfThreads) {
  const int threads = at::get_num_threads();
  const Nf4Matrix matrix = quantized(at::randn({kManyRows, kManyColumns}));
  const at::Tensor x = random({33, kManyColumns}), dy = random({33, kManyRows});
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    EXPECT_TRUE(at::equal(nf4_linear(x, matrix), nf4_linear(x.clone(), matrix))) << count;
    EXPECT_TRUE(at::equal(nf4_linear_backward(dy, matrix), nf4_linear_backward(dy.clone(), matrix))) << count;
  }
  at::set_num_threads(threads);
}

TEST(Nf4Matrix, WhatIsHeldAndItsNumbersDependOnNoNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor w = at::randn({kManyRows, kManyColumns});
  const Nf4Matrix matrix = quantized(w);
  const at::Tensor numbers = widened(matrix);
  at::set_num_threads(1);
  const Nf4Matrix alone = quantized(w);
  EXPECT_TRUE(at::equal(matrix.codes, alone.codes) && at::equal(matrix.scales, alone.scales));
  EXPECT_TRUE(at::equal(numbers, widened(matrix)));
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Types, Nf4Product, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(Nf4Matrix, BlocksOfZerosStayZeros) {
  at::Tensor w = at::randn({8, 128});
  w.narrow(1, 64, 64).zero_();
  const at::Tensor held = widened(quantized(w));
  EXPECT_EQ(max_abs(held.narrow(1, 64, 64)), 0);
  EXPECT_TRUE(at::isfinite(held).all().item<bool>());
}

TEST(Nf4Matrix, RefusesAnOddNumberOfColumnsAndAWrongInput) {
  EXPECT_THAT([] { empty_nf4_matrix(8, 7, at::kCPU); }, ThrowsMessage<ShapeError>(HasSubstr("(8, 7)")));
  const Nf4Matrix matrix = quantized(at::randn({8, 64}));
  EXPECT_THAT([&] { nf4_linear(at::randn({3, 31}), matrix); }, ThrowsMessage<ShapeError>(HasSubstr("(T, K=64)")));
}

}  // namespace
}  // namespace nkat::layers
