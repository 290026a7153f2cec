#include "layers/quantized/int8_rows.h"

#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;

constexpr std::int64_t kRowLength = 96;

// The integers that rows stand for, in steps of their last pass.
at::Tensor steps_of(const Int8Rows& rows) {
  const at::Tensor first = rows.values.narrow(0, 0, rows.scales.size(0)).to(at::kInt);
  return rows.passes == 1 ? first : 254 * first + rows.values.narrow(0, rows.scales.size(0), rows.scales.size(0));
}

class Int8RowsOf : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Int8RowsOf, TheLoopsAgreeWithPlainOperations) {
  const at::Tensor x = at::randn({33, kRowLength}).to(GetParam()), factors = at::rand({kRowLength}) + 0.5;
  for (const std::int64_t passes : {1, 2}) {
    const Int8Rows fast = quantize_rows(x, factors, passes);
    Int8Rows slow{at::empty_like(fast.values), at::empty_like(fast.scales), passes};
    plain::quantize_rows_into(x, factors, slow);
    EXPECT_TRUE(at::equal(fast.scales, slow.scales));
    // What both passes stand for, in steps of the last: a fused multiply-add may take the other side of a tie.
    EXPECT_LE(max_error(steps_of(fast), steps_of(slow)), 1);
    const at::Tensor sums = at::randint(-1000000, 1000000, {fast.values.size(0), 40}, at::kInt);
    at::Tensor y = at::empty({33, 40}, GetParam()), twin = at::empty_like(y);
    dequantize_into(sums, fast, factors.narrow(0, 0, 40), y);
    plain::dequantize_into(sums, fast, factors.narrow(0, 0, 40), twin);
    EXPECT_LE(max_error(y, twin), unit_in_the_last_place(GetParam()) * max_abs(twin));
  }
}

TEST_P(Int8RowsOf, FillsUpWithRowsOfZeros) {
  const at::Tensor x = at::randn({13, kRowLength}).to(GetParam()), ones = at::ones({kRowLength});
  const Int8Rows exact = quantize_rows(x, ones, 2), padded = quantize_rows(x, ones, 2, /*least_rows=*/24);
  EXPECT_EQ(exact.values.size(0), 26);
  ASSERT_EQ(padded.values.size(0), 32);
  EXPECT_TRUE(at::equal(padded.values.narrow(0, 0, 26), exact.values));
  EXPECT_EQ(max_abs(padded.values.narrow(0, 26, 6)), 0);
}

INSTANTIATE_TEST_SUITE_P(Types, Int8RowsOf, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

}  // namespace
}  // namespace nkat::layers
