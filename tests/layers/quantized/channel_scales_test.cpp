#include "layers/quantized/channel_scales.h"

#include <ATen/ops/logspace.h>
#include <ATen/ops/randperm.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/quantized/weight.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kRows = 264, kColumns = 64;

// Rows and columns of very different sizes.
at::Tensor uneven(const at::Tensor& columns) {
  return at::randn({kRows, kColumns}) * columns * at::logspace(-2, 2, kRows).unsqueeze(1);
}

TEST(ChannelScales, AreTheMeanShareOfAColumnInItsRows) {
  const at::Tensor w = uneven(at::logspace(-1, 1, kColumns)), wide = w.to(at::kDouble);
  const at::Tensor rows = wide.square().mean(1, true).sqrt();
  const at::Tensor exact = (wide / rows).square().mean(0).sqrt();
  // Sums of positive terms: at most one rounding for each of the rows, and a few for the rest.
  EXPECT_LE(((channel_scales(w) - exact).abs() / exact).max().item<double>(), (kRows + kColumns) * 0x1p-24);
  EXPECT_TRUE(at::equal(channel_scales(w.to(at::kBFloat16)), channel_scales(w.to(at::kBFloat16).to(at::kFloat))));
}

TEST(ChannelScales, AreOneWhereNothingStands) {
  at::Tensor w = uneven(at::ones(kColumns));
  w.select(1, 5).zero_();
  w[7].zero_();
  const at::Tensor scales = channel_scales(w);
  EXPECT_EQ(scales[5].item<float>(), 1);
  EXPECT_TRUE(at::isfinite(scales).all().item<bool>());
  EXPECT_TRUE(at::equal(channel_scales(at::zeros({3, 8})), at::ones(8)));
}

TEST(ChannelScales, RefuseWhatIsNoMatrix) {
  EXPECT_THAT([] { channel_scales(at::ones(8)); }, ThrowsMessage<ShapeError>(HasSubstr("(n, K)")));
}

template <typename Matrix>
double relative_error(Matrix matrix, const at::Tensor& scales, const at::Tensor& w, const at::Tensor& x) {
  matrix.channel_scales.copy_(scales);
  set_rows(matrix, 0, w);
  const at::Tensor exact = at::linear(x, w), y = linear(x, Weight(matrix));
  return ((y - exact).norm() / exact.norm()).item<double>();
}

// The same function, whose columns are up to a thousand times smaller and inputs as much larger. Relative errors of
// 10,560 sums differ by a few in a hundred between draws; those of a form without scales are several times as large.
TEST(ChannelScales, AFormIsAsGoodOnUnevenColumnsAsOnEvenOnes) {
  at::manual_seed(1);
  const at::Tensor even = at::randn({kRows, kColumns}), x = at::randn({40, kColumns});
  const at::Tensor factors = at::logspace(-3, 0, kColumns).index({at::randperm(kColumns)}), uneven_w = even * factors;
  const auto ratio = [&](const auto& matrix, const at::Tensor& scales) {
    return relative_error(matrix, scales, uneven_w, x / factors) / relative_error(matrix, at::ones(kColumns), even, x);
  };
  const Int8Matrix int8 = empty_int8_matrix(kRows, kColumns, at::kCPU, {.input = 2, .gradient = 1});
  const Nf4Matrix nf4 = empty_nf4_matrix(kRows, kColumns, at::kCPU);
  EXPECT_LT(ratio(int8, channel_scales(uneven_w)), 1.1);
  EXPECT_LT(ratio(nf4, channel_scales(uneven_w)), 1.1);
  EXPECT_GT(ratio(int8, at::ones(kColumns)), 2);
  EXPECT_GT(ratio(nf4, at::ones(kColumns)), 2);
}

}  // namespace
}  // namespace nkat::layers
