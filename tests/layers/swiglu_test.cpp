#include "layers/swiglu.h"

#include <ATen/ops/silu.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/message_of.h"
#include "tests/support/on_gpu.h"
#include "tests/support/thread_counts.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;

at::Tensor plain_swiglu(const at::Tensor& gate_up) {
  const auto halves = gate_up.chunk(2, -1);
  return halves[1] * at::silu(halves[0]);
}

TEST(SwiGlu, TheFirstHalfIsTheGate) {
  const at::Tensor gate_up = at::tensor({0.0, 2.0, 3.0, 5.0}, at::kDouble).view({1, 4});
  const at::Tensor y = swiglu(gate_up);
  EXPECT_DOUBLE_EQ(y[0][0].item<double>(), 0.0);
  EXPECT_NEAR(y[0][1].item<double>(), 5 * 2 / (1 + std::exp(-2.0)), 1e-15);
}

TEST(SwiGlu, GradientEqualsCentralDifferences) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({3, 10}, at::kDouble), direction = at::randn({3, 5}, at::kDouble);
  EXPECT_LT(relative_error(gradient(swiglu, x, direction), numerical_gradient(swiglu, x, direction)), 1e-8);
}

// At most twice the error that ATen's silu and product make in the same type, forward and backward.
TEST(SwiGlu, IsAsAccurateAsPlainATen) {
  at::manual_seed(2);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = (3 * at::randn({64, 66})).to(type), direction = at::randn({64, 33}).to(type);
    const at::Tensor exact = plain_swiglu(x.to(at::kDouble));
    EXPECT_LE(relative_error(swiglu(x), exact), 2 * relative_error(plain_swiglu(x), exact)) << type;
    const at::Tensor exact_gradient = gradient(plain_swiglu, x.to(at::kDouble), direction.to(at::kDouble));
    EXPECT_LE(relative_error(gradient(swiglu, x, direction), exact_gradient),
              2 * relative_error(gradient(plain_swiglu, x, direction), exact_gradient))
        << type;
  }
}

TEST(SwiGlu, IsAsGoodAsPlainATenForAnyNumberOfRows) {
  at::manual_seed(5);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t rows : {0, 1, 31, 32, 33}) {
      const at::Tensor x = (3 * at::randn({rows, 66})).to(type), direction = at::randn({rows, 33}).to(type);
      const at::Tensor wide = x.to(at::kDouble), wide_direction = direction.to(at::kDouble);
      EXPECT_TRUE(is_as_good_as(swiglu(x), plain_swiglu(x), plain_swiglu(wide), kValueFactor))
          << type << ", " << rows << " rows";
      EXPECT_TRUE(is_as_good_as(gradient(swiglu, x, direction), gradient(plain_swiglu, x, direction),
                                gradient(plain_swiglu, wide, wide_direction), kGradientFactor))
          << type << ", " << rows << " rows";
    }
  }
}

TEST(SwiGlu, TakesRowsAndGradientsThatAreNotContiguous) {
  const at::Tensor x = at::randn({66, 31}).t(), direction = at::randn({33, 31}).t();
  ASSERT_FALSE(x.is_contiguous() || direction.is_contiguous());
  EXPECT_TRUE(at::equal(swiglu(x), swiglu(x.contiguous())));
  EXPECT_TRUE(at::equal(gradient(swiglu, x, direction), gradient(swiglu, x.contiguous(), direction.contiguous())));
}

// 16 Ki values are the least that a thread takes: 201 rows of 513 make six shares of whole rows and a rest.
TEST(SwiGlu, DoesNotDependOnTheThreadCount) {
  at::manual_seed(4);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor x = (3 * at::randn({201, 2 * 513})).to(type), direction = at::randn({201, 513}).to(type);
    expect_same_bits_for_any_thread_count([&] { return std::vector{swiglu(x), gradient(swiglu, x, direction)}; });
  }
}

TEST(SwiGluGpu, IsAsGoodAsPlainATen) {
  NKAT_SKIP_WITHOUT_CUDA();
  at::manual_seed(3);
  for (const std::int64_t width : {1, 33, 64, 8192})
    for (const std::int64_t rows : {0, 1, 31, 32, 33})
      expect_good_on_gpu(swiglu, plain_swiglu, 3 * at::randn({rows, 2 * width}, at::kDouble),
                         at::randn({rows, width}, at::kDouble));
}

TEST(SwiGluGpu, TakesAViewThatStartsAnywhere) {
  NKAT_SKIP_WITHOUT_CUDA();
  const at::Tensor x = at::randn({33, 128}).to(at::kCUDA);
  EXPECT_LE(relative_error(swiglu(misaligned(x)), swiglu(x)), 1e-6);
}

TEST(SwiGlu, KeepsNothingButItsInput) {
  const std::int64_t before = HeldBytes::now();
  const at::Tensor leaf = at::randn({17, 32}).to(at::kBFloat16).requires_grad_(true);
  at::Tensor x = leaf * 2;
  const at::Tensor y = swiglu(x);
  const auto tensors = static_cast<std::int64_t>(leaf.nbytes() + x.nbytes() + y.nbytes());
  x.reset();
  EXPECT_EQ(HeldBytes::now() - before, tensors);
}

TEST(SwiGlu, NamesWhatItRefuses) {
  const auto complaint = [](const at::Tensor& gate_up) { return message_of([&] { swiglu(gate_up); }); };
  EXPECT_EQ(complaint(at::zeros({2, 3, 4})), "SwiGLU: expected gate_up (T, 2F), found (2, 3, 4)");
  EXPECT_EQ(complaint(at::zeros({2, 4}, at::kHalf)),
            "SwiGLU: expected gate_up of type Float or BFloat16 or Double, found Half");
  EXPECT_THROW(swiglu(at::zeros({2, 3})), InternalError);
}

}  // namespace
}  // namespace nkat::layers
