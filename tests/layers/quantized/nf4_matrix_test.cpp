#include "layers/quantized/nf4_matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linspace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/cpu/nf4.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kMatrixRows = 72, kMatrixColumns = 200;  // the last block of a row holds eight

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
  const at::Tensor w = at::randn({kMatrixRows, kMatrixColumns});
  const at::Tensor held = widened(quantized(w)), nearest = nearest_levels(w);
  EXPECT_LE(max_error(held, nearest), 0x1p-22 * max_abs(nearest));
  // Half the widest gap, between -1 and -0.696, and the rounding of a scale, 2^-8 of it.
  const at::Tensor scaled = w / scales_of(kMatrixColumns), off = held / scales_of(kMatrixColumns) - scaled;
  EXPECT_LE((off.abs() / std::get<0>(scaled.abs().max(1, true))).max().item<double>(), 0.152 * (1 + 0x1p-8));
}

// As bitsandbytes stores them: level 15 of the even column in the upper half, 7 (zero) of the odd one in the lower.
TEST(Nf4Matrix, TheEvenColumnTakesTheUpperHalfOfAByte) {
  const Nf4Matrix matrix = quantized(at::tensor({0.2f, 0.0f}).expand({8, 2}));
  EXPECT_EQ(matrix.codes[0][0].item<int>(), 0xf7);
  EXPECT_EQ(matrix.scales[0][0].item<float>(), 2.0f);
}

TEST(Nf4Matrix, TheLoopsAgreeWithPlainOperations) {
  const at::Tensor w = at::randn({kMatrixRows, kMatrixColumns});
  const Nf4Matrix fast = quantized(w);
  Nf4Matrix slow = empty_nf4_matrix(kMatrixRows, kMatrixColumns, at::kCPU);
  slow.channel_scales.copy_(fast.channel_scales);
  plain::set_rows(slow, 0, w);
  EXPECT_TRUE(at::equal(fast.codes, slow.codes));
  EXPECT_TRUE(at::equal(fast.scales, slow.scales));
  const Nf4Tile tile{.row = 3, .count = 40, .column = 64, .width = kMatrixColumns - 64};
  EXPECT_TRUE(at::equal(cpu::widen(fast, tile), plain::widen(fast, tile, at::kFloat)));
  EXPECT_TRUE(at::equal(cpu::widen(fast, tile), widened(fast).narrow(0, 3, 40).narrow(1, 64, kMatrixColumns - 64)));
  EXPECT_TRUE(at::equal(widened(fast, at::kBFloat16), widened(fast).to(at::kBFloat16)));
}

TEST(Nf4Matrix, WhatIsHeldAndItsNumbersDependOnNoNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor w = at::randn({4096, 2048});
  const Nf4Matrix matrix = quantized(w);
  const at::Tensor numbers = widened(matrix);
  at::set_num_threads(1);
  const Nf4Matrix alone = quantized(w);
  EXPECT_TRUE(at::equal(matrix.codes, alone.codes) && at::equal(matrix.scales, alone.scales));
  EXPECT_TRUE(at::equal(numbers, widened(matrix)));
  at::set_num_threads(threads);
}

TEST(Nf4Matrix, BlocksOfZerosStayZeros) {
  at::Tensor w = at::randn({8, 128});
  w.narrow(1, 64, 64).zero_();
  const at::Tensor held = widened(quantized(w));
  EXPECT_EQ(max_abs(held.narrow(1, 64, 64)), 0);
  EXPECT_TRUE(at::isfinite(held).all().item<bool>());
}

TEST(Nf4Matrix, RefusesAnOddNumberOfColumns) {
  EXPECT_THAT([] { empty_nf4_matrix(8, 7, at::kCPU); }, ThrowsMessage<ShapeError>(HasSubstr("(8, 7)")));
}

}  // namespace
}  // namespace nkat::layers
