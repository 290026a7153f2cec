#include "layers/so8_rotation.h"

#include <numbers>

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_det.h>
#include <ATen/ops/linalg_matrix_norm.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/message_of.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using ::nkat::testing::max_abs;
using ::nkat::testing::max_error;
using ::nkat::testing::message_of;
using ::nkat::testing::roundings;

constexpr double kTwoPi = 2 * std::numbers::pi;

// Of a rotation with |A| up to 2 pi, squared up to 5 times: each squaring doubles the error and rounds sums of 8
// products, 8 (1 + 2 + .. + 2^5) = 504; the series before them may err by 8, which become 256; 140 are left for what
// compares.
constexpr double kRotationRoundings = 900;

// weight (count, 8, 8) whose skew part has the spectral norm asked for, with a symmetric part that must not matter.
at::Tensor weight_of_norm(std::int64_t count, double norm) {
  at::manual_seed(1);
  const at::Tensor raw = at::randn({count, 8, 8}, at::kDouble), skew = (raw - raw.transpose(1, 2)) / 2;
  const at::Tensor scale = norm / at::linalg_matrix_norm(skew, 2).view({count, 1, 1});
  return skew * scale + (raw + raw.transpose(1, 2)) / 2;
}

// exp of one (n, n) matrix by its plain Taylor series in long double: 100 terms, no scaling, nothing shared with the
// code under test. At norm 2 pi the largest term is 88, so 64-bit mantissas leave an error of about 1e-17.
at::Tensor taylor_exponential(const at::Tensor& a) {
  const std::int64_t n = a.size(0);
  const auto size = static_cast<std::size_t>(n * n);
  const at::Tensor source = a.contiguous();
  const double* entries = source.const_data_ptr<double>();
  std::vector<long double> term(size, 0.0L), next(size), sum(size, 0.0L);
  for (std::int64_t i = 0; i < n; ++i) term[static_cast<std::size_t>(i * n + i)] = 1.0L;
  for (int k = 1; k <= 100; ++k) {
    for (std::size_t i = 0; i < size; ++i) sum[i] += term[i];
    for (std::int64_t row = 0; row < n; ++row)
      for (std::int64_t column = 0; column < n; ++column) {
        long double x = 0.0L;
        for (std::int64_t j = 0; j < n; ++j)
          x += term[static_cast<std::size_t>(row * n + j)] * static_cast<long double>(entries[j * n + column]);
        next[static_cast<std::size_t>(row * n + column)] = x / k;
      }
    term.swap(next);
  }
  at::Tensor out = at::empty({n, n}, at::kDouble);
  std::copy(sum.begin(), sum.end(), out.mutable_data_ptr<double>());
  return out;
}

at::Tensor reference_rotation(const at::Tensor& weight /* (N, 8, 8) */) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& w : weight.to(at::kDouble).unbind()) out.push_back(taylor_exponential((w - w.t()) / 2));
  return at::stack(out);
}

// The adjoint by Mathias' block form: the upper right block of exp([[A^T, G], [0, A^T]]).
at::Tensor reference_gradient(const at::Tensor& weight, const at::Tensor& rotation_gradient) {
  std::vector<at::Tensor> out;
  for (std::int64_t i = 0; i < weight.size(0); ++i) {
    const at::Tensor a_t = (weight[i].t() - weight[i]) / 2, zero = at::zeros({8, 8}, at::kDouble);
    const at::Tensor block = at::cat({at::cat({a_t, rotation_gradient[i]}, 1), at::cat({zero, a_t}, 1)}, 0);
    const at::Tensor d = taylor_exponential(block).slice(0, 0, 8).slice(1, 8, 16);
    out.push_back((d - d.t()) / 2);
  }
  return at::stack(out);
}

double orthogonality(const at::Tensor& r) {
  return max_abs(at::matmul(r.transpose(-1, -2), r) - at::eye(8, r.options()));
}

class So8RotationAtNorm : public ::testing::TestWithParam<double> {};

TEST_P(So8RotationAtNorm, Float64EqualsTheTaylorSeriesInLongDouble) {
  const at::Tensor weight = weight_of_norm(40, GetParam()), rotation = so8_rotation(weight);
  EXPECT_LE(max_error(rotation, reference_rotation(weight)), roundings(kRotationRoundings));
  EXPECT_LE(orthogonality(rotation), roundings(kRotationRoundings));
}

TEST_P(So8RotationAtNorm, Float32KeepsTheContract) {
  const at::Tensor weight = weight_of_norm(500, GetParam()).to(at::kFloat), rotation = so8_rotation(weight);
  EXPECT_EQ(rotation.scalar_type(), at::kFloat);
  EXPECT_LE(max_error(rotation, reference_rotation(weight)), 0x1p-24);  // one rounding of entries up to 1
  // 8 products of two numbers up to 1 that were each rounded to float32 once.
  EXPECT_LE(orthogonality(rotation.to(at::kDouble)), roundings(2 * 8, at::kFloat));
}

TEST_P(So8RotationAtNorm, BackwardEqualsTheBlockForm) {
  const at::Tensor weight = weight_of_norm(40, GetParam()), gradient = at::randn({40, 8, 8}, at::kDouble);
  const at::Tensor reference = reference_gradient(weight, gradient);
  EXPECT_LE(max_error(so8_rotation_backward(weight, gradient), reference),
            roundings(kRotationRoundings) * max_abs(reference));
}

TEST_P(So8RotationAtNorm, BackwardEqualsFiniteDifferences) {
  const at::Tensor weight = weight_of_norm(3, GetParam()), gradient = at::randn({3, 8, 8}, at::kDouble);
  const at::Tensor derivative = so8_rotation_backward(weight, gradient);
  const double step = nkat::testing::kDifferenceStep;
  const auto loss = [&](const at::Tensor& w) { return (so8_rotation(w) * gradient).sum({1, 2}); };
  at::Tensor differences = at::empty_like(weight);
  for (std::int64_t entry = 0; entry < 64; ++entry) {
    at::Tensor shift = at::zeros({8, 8}, at::kDouble);
    shift.view(-1)[entry] = step;
    differences.view({3, 64}).select(1, entry) = (loss(weight + shift) - loss(weight - shift)) / (2 * step);
  }
  EXPECT_LE(max_error(derivative, differences),
            nkat::testing::central_difference_error(kRotationRoundings) * max_abs(differences));
}

INSTANTIATE_TEST_SUITE_P(Norms, So8RotationAtNorm, ::testing::Values(0.0, 0.01, 0.7, 1.0, 3.0, kTwoPi),
                         [](const auto& norm) { return "Case" + std::to_string(norm.index); });

// A determinant moves by the sum of what the 8 singular values do, and by the roundings of its own factorization.
TEST(So8Rotation, IsARotationWithDeterminantOne) {
  const at::Tensor determinants = at::linalg_det(so8_rotation(weight_of_norm(40, kTwoPi)));
  EXPECT_LE(max_error(determinants, at::ones({40}, at::kDouble)), roundings(8 * kRotationRoundings + 1000));
}

TEST(So8Rotation, OfASymmetricWeightIsExactlyTheIdentity) {
  const at::Tensor raw = at::randn({5, 8, 8}, at::kFloat);
  EXPECT_TRUE(at::equal(so8_rotation(raw + raw.transpose(1, 2)), at::eye(8, at::kFloat).expand({5, 8, 8})));
}

TEST(So8Rotation, TakesAnyLeadingShapeAndAnyStride) {
  const at::Tensor weight = at::randn({2, 3, 8, 16}, at::kFloat).slice(3, 0, 16, 2);
  ASSERT_FALSE(weight.is_contiguous());
  const at::Tensor rotation = so8_rotation(weight);
  EXPECT_EQ(rotation.sizes(), weight.sizes());
  EXPECT_TRUE(at::equal(rotation[1][2], so8_rotation(weight[1][2])));
  EXPECT_EQ(so8_rotation(at::empty({0, 8, 8})).numel(), 0);
}

TEST(So8Rotation, DoesNotDependOnTheThreadCount) {
  const at::Tensor weight = weight_of_norm(1000, 2.0), gradient = at::randn({1000, 8, 8}, at::kDouble);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = so8_rotation(weight), one_backward = so8_rotation_backward(weight, gradient);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(so8_rotation(weight), one));
  EXPECT_TRUE(at::equal(so8_rotation_backward(weight, gradient), one_backward));
  at::set_num_threads(before);
}

TEST(So8Rotation, SpreadsWhatIsNotFinite) {
  at::Tensor weight = at::zeros({2, 8, 8}, at::kFloat);
  weight[1][0][1] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(at::equal(so8_rotation(weight)[0], at::eye(8)));
  EXPECT_TRUE(so8_rotation(weight)[1].isnan().any().item<bool>());
}

// Both sides err by a few roundings that each of six squarings at most doubles: 2^6 times a few 2^-53.
TEST(So8RotationGpu, EqualsTheCpuPath) {
  NKAT_SKIP_WITHOUT_CUDA();
  for (const double norm : {0.0, 0.01, 1.0, kTwoPi, 24.0}) {
    for (const std::int64_t count : {1, 31, 32, 33}) {
      const at::Tensor weight = weight_of_norm(count, norm), gradient = at::randn({count, 8, 8}, at::kDouble);
      const at::Tensor there = weight.to(at::kCUDA), gradient_there = gradient.to(at::kCUDA);
      const at::Tensor adjoint = so8_rotation_backward(weight, gradient);
      EXPECT_LE(max_error(so8_rotation(there), so8_rotation(weight)), 2e-13) << norm;
      EXPECT_LE(max_error(so8_rotation_backward(there, gradient_there), adjoint), 2e-13 * max_abs(adjoint)) << norm;
      const at::Tensor single = there.to(at::kFloat);
      EXPECT_LE(max_error(so8_rotation(single), so8_rotation(single.to(at::kCPU, at::kDouble))), 0x1p-24 + 2e-13);
      EXPECT_TRUE(at::equal(so8_rotation(single.transpose(1, 2).contiguous().transpose(1, 2)), so8_rotation(single)));
    }
  }
  EXPECT_EQ(so8_rotation(at::empty({0, 8, 8}, at::kCUDA)).numel(), 0);
}

TEST(So8RotationGpu, AMatrixDoesNotDependOnItsNeighbors) {
  NKAT_SKIP_WITHOUT_CUDA();
  const at::Tensor weight = weight_of_norm(5, 1.0).to(at::kCUDA), alone = so8_rotation(weight);
  weight[2] *= 500;  // squares more often
  EXPECT_TRUE(at::equal(so8_rotation(weight)[3], alone[3]));
}

TEST(So8RotationGpu, SpreadsWhatIsNotFiniteInItsOwnMatrixOnly) {
  NKAT_SKIP_WITHOUT_CUDA();
  const at::Tensor weight = at::zeros({5, 8, 8}, at::kCUDA);
  weight[1][0][1] = std::numeric_limits<float>::infinity();
  weight[3][0][1] = 1e6;  // squares more often than its neighbors
  const at::Tensor rotation = so8_rotation(weight).cpu();
  EXPECT_TRUE(at::equal(rotation[0], at::eye(8)));
  EXPECT_TRUE(rotation[1].isnan().any().item<bool>());
  EXPECT_TRUE(rotation[3].isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(rotation[4], at::eye(8)));
}

TEST(So8Rotation, NamesWhatItRefuses) {
  EXPECT_EQ(message_of([] {
              so8_rotation(at::zeros({3, 7}));
            }),
            "so8_rotation: expected weight (..., 8, 8), found (3, 7)");
  EXPECT_EQ(message_of([] {
              so8_rotation(at::zeros({8, 8}, at::kBFloat16));
            }),
            "so8_rotation: expected weight of type Float or Double, found BFloat16");
  EXPECT_EQ(message_of([] {
              so8_rotation_backward(at::zeros({2, 8, 8}), at::zeros({1, 8, 8}));
            }),
            "so8_rotation_backward: expected rotation_gradient (2, 8, 8), found (1, 8, 8)");
}

}  // namespace
}  // namespace nkat::layers
