#include "layers/quantized/weight.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/linear.h"

namespace nkat::layers {
namespace {

TEST(Weight, GivesTheProductOfTheFormItHolds) {
  const at::Tensor w = at::randn({16, 64}), x = at::randn({5, 64});
  Int8Matrix int8 = empty_int8_matrix(16, 64, at::kCPU, {.input = 2, .gradient = 1});
  Nf4Matrix nf4 = empty_nf4_matrix(16, 64, at::kCPU);
  set_rows(int8, 0, w);
  set_rows(nf4, 0, w);
  EXPECT_TRUE(at::equal(layers::linear(x, Weight(w)), layers::linear(x, w)));
  EXPECT_TRUE(at::equal(layers::linear(x, Weight(int8)), int8_linear(x, int8)));
  EXPECT_TRUE(at::equal(layers::linear(x, Weight(nf4)), nf4_linear(x, nf4)));
}

TEST(Weight, AddsItsBiasInEveryForm) {
  const at::Tensor w = at::randn({16, 64}), x = at::randn({5, 64}), bias = at::randn({16});
  Int8Matrix int8 = empty_int8_matrix(16, 64, at::kCPU, {.input = 2, .gradient = 1});
  Nf4Matrix nf4 = empty_nf4_matrix(16, 64, at::kCPU);
  set_rows(int8, 0, w);
  set_rows(nf4, 0, w);
  for (Weight matrix : {Weight(w), Weight(int8), Weight(nf4)}) {
    const at::Tensor plain = layers::linear(x, matrix);
    const std::size_t bytes = matrix.bytes();
    matrix.set_bias(bias);
    const at::Tensor input = x.clone().requires_grad_(true);
    const at::Tensor y = layers::linear(input, matrix);
    EXPECT_TRUE(at::equal(y, plain + bias));
    EXPECT_EQ(matrix.bytes(), bytes + 4 * 16);
    y.sum().backward();
    EXPECT_TRUE(input.grad().defined());
  }
  Weight wrong(w);
  wrong.set_bias(at::randn({15}));
  EXPECT_THROW(layers::linear(x, wrong), ShapeError);
}

TEST(Weight, KnowsItsSidesAndItsBytesInEveryForm) {
  const Weight dense = at::randn({16, 64});
  const Weight int8 = empty_int8_matrix(16, 64, at::kCPU, {}), nf4 = empty_nf4_matrix(16, 64, at::kCPU);
  for (const Weight& matrix : {dense, int8, nf4}) {
    EXPECT_EQ(matrix.rows(), 16);
    EXPECT_EQ(matrix.columns(), 64);
  }
  EXPECT_EQ(dense.bytes(), 4u * 16 * 64);
  EXPECT_EQ(int8.bytes(), 16u * (64 + 4) + 4 * 64);
  EXPECT_EQ(nf4.bytes(), 16u * (32 + 4) + 4 * 64);
  EXPECT_EQ(Weight().rows() + Weight().columns(), 0);
}

TEST(Weight, HasNoNumbersToShowWhenItIsQuantized) {
  const Weight matrix = empty_nf4_matrix(16, 64, at::kCPU);
  EXPECT_THROW(matrix.dense(), InternalError);
}

}  // namespace
}  // namespace nkat::layers
