#include "layers/cpu/bf16_gemm.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "tests/support/tolerance.h"

namespace nkat::layers::cpu {
namespace {

using namespace nkat::testing;

struct Sizes {
  std::int64_t rows, in, out;
};

class WidenedProductOf : public ::testing::TestWithParam<Sizes> {
 protected:
  void SetUp() override { at::manual_seed(11); }
  at::Tensor weight() const { return at::randn({GetParam().out, GetParam().in}).to(at::kBFloat16); }
  at::Tensor rows(std::int64_t width) const { return at::randn({GetParam().rows, width}).to(at::kBFloat16); }
};

TEST_P(WidenedProductOf, RowsAndTheTransposedMatrixIsAsGoodAsATen) {
  const at::Tensor w = weight(), x = rows(GetParam().in);
  const at::Tensor exact = at::linear(x.to(at::kDouble), w.to(at::kDouble));
  const at::Tensor rounded = bf16_gemm(x, w, Bf16Gemm::kForward, at::kBFloat16);
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(is_as_good_as(rounded, at::linear(x, w), exact, kValueFactor));
  EXPECT_TRUE(is_as_good_as(bf16_gemm(x, w, Bf16Gemm::kForward, at::kFloat),
                            at::linear(x.to(at::kFloat), w.to(at::kFloat)), exact, kValueFactor));
}

TEST_P(WidenedProductOf, RowsAndTheMatrixIsAsGoodAsATen) {
  const at::Tensor w = weight(), dy = rows(GetParam().out);
  const at::Tensor exact = at::matmul(dy.to(at::kDouble), w.to(at::kDouble));
  EXPECT_TRUE(
      is_as_good_as(bf16_gemm(dy, w, Bf16Gemm::kBackward, at::kBFloat16), at::matmul(dy, w), exact, kValueFactor));
}

TEST_P(WidenedProductOf, TheSameBitsOnEveryRun) {
  const at::Tensor w = weight(), x = rows(GetParam().in);
  const at::Tensor once = bf16_gemm(x, w, Bf16Gemm::kForward, at::kFloat);
  EXPECT_TRUE(at::equal(once, bf16_gemm(x, w, Bf16Gemm::kForward, at::kFloat)));
}

// Beyond a depth of 1024 a sum continues in another panel; beyond 4 x 512 columns there are several panels.
INSTANTIATE_TEST_SUITE_P(Sizes, WidenedProductOf,
                         ::testing::Values(Sizes{0, 8, 8}, Sizes{1, 1, 1}, Sizes{31, 33, 17}, Sizes{32, 64, 257},
                                           Sizes{33, 1027, 40}, Sizes{20, 48, 2051}, Sizes{200, 768, 2304}),
                         [](const auto& test) {
                           const Sizes& s = test.param;
                           return std::to_string(s.rows) + "RowsOf" + std::to_string(s.in) + "By" +
                                  std::to_string(s.out);
                         });

TEST(Bf16Gemm, CarriesWhatIsNotANumberToItsRowAlone) {
  at::Tensor x = at::ones({20, 32}).to(at::kBFloat16);
  x[3][5] = std::nan("");
  const at::Tensor y = bf16_gemm(x, at::ones({40, 32}).to(at::kBFloat16), Bf16Gemm::kForward, at::kBFloat16);
  EXPECT_TRUE(y[3].isnan().all().item<bool>());
  EXPECT_EQ(y.isnan().sum().item<std::int64_t>(), 40);
}

}  // namespace
}  // namespace nkat::layers::cpu
