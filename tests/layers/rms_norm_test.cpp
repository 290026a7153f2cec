#include "layers/rms_norm.h"

#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/gradients.h"
#include "tests/support/held_bytes.h"
#include "tests/support/message_of.h"
#include "tests/support/on_gpu.h"
#include "tests/support/thread_counts.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using namespace nkat::testing;
constexpr double kEpsilon = 1e-5;

// transformers' Phi3RMSNorm, with ATen's own backward.
at::Tensor plain_rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  return weight * (wide * at::rsqrt(wide.pow(2).mean(-1, true) + kEpsilon)).to(x.scalar_type());
}

TEST(RmsNorm, IsAsAccurateAsTransformers) {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const std::int64_t rows : {0, 1, 31, 32, 33}) {
      const at::Tensor x = (3 * at::randn({rows, 33})).to(type), weight = at::randn({33}).to(type);
      EXPECT_TRUE(is_as_good_as(rms_norm(x, weight, kEpsilon), plain_rms_norm(x, weight),
                                plain_rms_norm(x.to(at::kDouble), weight.to(at::kDouble)), kValueFactor))
          << type << ", " << rows << " rows";
    }
  }
}

TEST(RmsNorm, TakesRowsThatAreNotContiguous) {
  const at::Tensor x = at::randn({33, 8}).t(), weight = at::randn({33});
  EXPECT_TRUE(at::equal(rms_norm(x, weight, kEpsilon), rms_norm(x.contiguous(), weight, kEpsilon)));
}

TEST(RmsNorm, GradientEqualsCentralDifferences) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({3, 10}, at::kDouble), weight = at::randn({10}, at::kDouble);
  const at::Tensor direction = at::randn({3, 10}, at::kDouble);
  const TensorFunction f = [&](const at::Tensor& input) { return rms_norm(input, weight, kEpsilon); };
  EXPECT_LT(relative_error(gradient(f, x, direction), numerical_gradient(f, x, direction)), 1e-8);
}

// At most twice the error that ATen's own backward makes in the same type.
TEST(RmsNorm, GradientIsAsAccurateAsPlainATen) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({64, 96}, at::kDouble), weight = at::randn({96}, at::kDouble);
  const at::Tensor direction = at::randn({64, 96}, at::kDouble);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor w = weight.to(type);
    const at::Tensor x_rounded = x.to(type), d_rounded = direction.to(type);
    const at::Tensor exact = gradient([&](const at::Tensor& input) { return plain_rms_norm(input, w.to(at::kDouble)); },
                                      x_rounded.to(at::kDouble), d_rounded.to(at::kDouble));
    const at::Tensor ours =
        gradient([&](const at::Tensor& input) { return rms_norm(input, w, kEpsilon); }, x_rounded, d_rounded);
    const at::Tensor theirs =
        gradient([&](const at::Tensor& input) { return plain_rms_norm(input, w); }, x_rounded, d_rounded);
    EXPECT_LE(relative_error(ours, exact), 2 * relative_error(theirs, exact)) << type;
  }
}

TEST(RmsNorm, KeepsItsInputAndOneNumberARow) {
  const std::int64_t before = HeldBytes::now();
  const at::Tensor weight = at::randn({32}).to(at::kBFloat16);
  const at::Tensor leaf = at::randn({17, 32}).to(at::kBFloat16).requires_grad_(true);
  at::Tensor x = leaf * 2;
  const at::Tensor y = rms_norm(x, weight, kEpsilon);
  const auto tensors = static_cast<std::int64_t>(weight.nbytes() + leaf.nbytes() + x.nbytes() + y.nbytes());
  x.reset();
  EXPECT_EQ(HeldBytes::now() - before, tensors + 17 * 4);
}

// 16 Ki values are the least that a thread takes: 201 rows of 769 make nine shares of whole rows and a rest.
TEST(RmsNorm, DoesNotDependOnTheThreadCount) {
  at::manual_seed(8);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor weight = at::randn({769}).to(type), x = at::randn({201, 769}).to(type),
                     direction = at::randn({201, 769}).to(type);
    const TensorFunction norm = [&](const at::Tensor& input) { return rms_norm(input, weight, kEpsilon); };
    expect_same_bits_for_any_thread_count([&] { return std::vector{norm(x), gradient(norm, x, direction)}; });
  }
}

TEST(RmsNormGpu, IsAsGoodAsPlainATen) {
  NKAT_SKIP_WITHOUT_CUDA();
  at::manual_seed(4);
  for (const std::int64_t channels : {1, 33, 64, 3072}) {
    const at::Tensor weight = at::randn({channels}).to(at::kBFloat16);  // the same numbers in every type
    for (const std::int64_t rows : {0, 1, 31, 32, 33})
      expect_good_on_gpu([&](const at::Tensor& x) { return rms_norm(x, weight.to(x.options()), kEpsilon); },
                         [&](const at::Tensor& x) { return plain_rms_norm(x, weight.to(x.options())); },
                         3 * at::randn({rows, channels}, at::kDouble), at::randn({rows, channels}, at::kDouble));
  }
}

TEST(RmsNormGpu, TakesAViewThatStartsAnywhere) {
  NKAT_SKIP_WITHOUT_CUDA();
  const at::Tensor x = at::randn({33, 64}).to(at::kCUDA), weight = at::randn({64}).to(at::kCUDA);
  EXPECT_LE(relative_error(rms_norm(misaligned(x), weight, kEpsilon), rms_norm(x, weight, kEpsilon)), 1e-6);
}

TEST(RmsNorm, NamesWhatItRefuses) {
  const auto complaint = [](const at::Tensor& x, const at::Tensor& weight) {
    return message_of<ShapeError>([&] { rms_norm(x, weight, kEpsilon); });
  };
  EXPECT_EQ(complaint(at::ones({2, 5}), at::ones({4})), "RMSNorm: expected x (T, H=4), found (2, 5)");
  EXPECT_EQ(complaint(at::ones({2, 5}), at::ones({1, 5})), "RMSNorm: expected weight (H), found (1, 5)");
  EXPECT_EQ(complaint(at::ones({2, 5}), at::ones({5, 1})), "RMSNorm: expected weight (H), found (5, 1)");
  EXPECT_EQ(complaint(at::ones({2, 5}), at::scalar_tensor(1.0)), "RMSNorm: expected weight (H), found ()");
}

}  // namespace
}  // namespace nkat::layers
