#include "layers/triality.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_det.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/var_mean.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/cpu/octonion.h"
#include "layers/so8_rotation.h"
#include "tests/layers/triality_maps.h"
#include "tests/support/message_of.h"
#include "tests/support/tolerance.h"

namespace nkat::layers {
namespace {

using ::nkat::testing::max_abs;
using ::nkat::testing::max_error;
using ::nkat::testing::roundings;

at::Tensor tensor_of(const Mat8& matrix) {
  at::Tensor out = at::empty({8, 8}, at::kDouble);
  store_matrix8(matrix, out.mutable_data_ptr<double>());
  return out;
}

So8Coordinates random_coordinates() {
  So8Coordinates out;
  const at::Tensor normal = at::randn({28}, at::kDouble);
  std::copy_n(normal.const_data_ptr<double>(), 28, out.begin());
  return out;
}

// (3, 8, 8): exp of (A, tau_s A, tau_c A), A scaled.
at::Tensor true_triple(const So8Coordinates& coordinates, double scale) {
  const std::vector<at::Tensor> skew = {tensor_of(so8_from_coordinates(coordinates)),
                                        tensor_of(so8_from_coordinates(apply(tau_s(), coordinates))),
                                        tensor_of(so8_from_coordinates(apply(tau_c(), coordinates)))};
  return so8_rotation(at::stack(skew) * scale);
}

at::Tensor random_rotations(std::int64_t count) { return so8_rotation(2 * at::randn({count, 8, 8}, at::kDouble)); }

at::Tensor product(const Matrix28& a, const Matrix28& b) {
  const auto tensor = [](const Matrix28& m) {
    return at::from_blob(const_cast<double*>(m[0].data()), {28, 28}, at::kDouble).clone();
  };
  return at::matmul(tensor(a), tensor(b));
}

// (x, y) -> x y on coordinate vectors, straight from the table.
at::Tensor octonion_product(const at::Tensor& x, const at::Tensor& y) {
  at::Tensor out = at::zeros({8}, at::kDouble);
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j)
      out[static_cast<std::int64_t>(kOctonions.index[i][j])] +=
          kOctonions.sign[i][j] * x[static_cast<std::int64_t>(i)] * y[static_cast<std::int64_t>(j)];
  return out;
}

// The loss by its definition, one product at a time.
double loss_by_definition(const at::Tensor& rotation) {
  double sum = 0;
  const std::int64_t triples = rotation.size(0) / 3;
  const at::Tensor unit = at::eye(8, at::kDouble);
  for (std::int64_t k = 0; k < triples; ++k)
    for (std::int64_t i = 0; i < 8; ++i)
      for (std::int64_t j = 0; j < 8; ++j) {
        const at::Tensor whole = at::mv(rotation[3 * k], octonion_product(unit[i], unit[j]));
        const at::Tensor parts =
            octonion_product(at::mv(rotation[3 * k + 1], unit[i]), at::mv(rotation[3 * k + 2], unit[j]));
        sum += (whole - parts).square().sum().item<double>() / 64;
      }
  return sum / static_cast<double>(triples);
}

class TrialityTest : public ::testing::Test {
 protected:
  TrialityTest() { at::manual_seed(7); }
};

// A product's entry is a sum of 8 terms: at most 8 roundings of |x| |y|, sqrt 8 times as many of its norm, 17 in the
// norms. Twice a product, a term is rounded 10 times on average; the 64 together are below 40 (seed 7).
TEST_F(TrialityTest, OctonionsKeepTheNormAndAreNotAssociative) {
  const at::Tensor x = at::randn({8}, at::kDouble), y = at::randn({8}, at::kDouble), z = at::randn({8}, at::kDouble);
  const double length = (x.norm() * y.norm()).item<double>();
  EXPECT_NEAR(octonion_product(x, y).norm().item<double>(), length, roundings(23 + 17) * length);
  EXPECT_LE(max_error(octonion_product(octonion_product(x, x), y), octonion_product(x, octonion_product(x, y))),
            roundings(2 * 10 * 40));
  EXPECT_GT(max_error(octonion_product(octonion_product(x, y), z), octonion_product(x, octonion_product(y, z))), 0.1);
}

// e1 e2 = e3, e1 e4 = e5, e2 e4 = e6, e3 e4 = e7: the Cayley-Dickson doubling of layers/MATHEMATICS.md 3 by hand.
TEST_F(TrialityTest, OctonionTableFollowsTheDoublingOfTheContract) {
  const auto expect = [](std::size_t i, std::size_t j, std::size_t k, int sign) {
    EXPECT_EQ(kOctonions.index[i][j], k) << i << ' ' << j;
    EXPECT_EQ(kOctonions.sign[i][j], sign) << i << ' ' << j;
  };
  expect(1, 2, 3, 1), expect(2, 1, 3, -1), expect(1, 4, 5, 1), expect(2, 4, 6, 1), expect(3, 4, 7, 1);
  expect(1, 6, 7, -1), expect(5, 5, 0, -1), expect(0, 6, 6, 1);
}

// Three pairs of products, a term rounded 10 times in each, the 64 terms together below 60 (seed 7): 1800 roundings if
// all had one sign, of which half are allowed.
TEST_F(TrialityTest, MapsSatisfyTheInfinitesimalIdentity) {
  const So8Coordinates a = random_coordinates();
  const at::Tensor v = tensor_of(so8_from_coordinates(a)), s = tensor_of(so8_from_coordinates(apply(tau_s(), a)));
  const at::Tensor c = tensor_of(so8_from_coordinates(apply(tau_c(), a)));
  const at::Tensor x = at::randn({8}, at::kDouble), y = at::randn({8}, at::kDouble);
  const at::Tensor both = octonion_product(at::mv(s, x), y) + octonion_product(x, at::mv(c, y));
  EXPECT_LE(max_error(at::mv(v, octonion_product(x, y)), both), roundings(3 * 10 * 60 / 2.0));
}

// Products and sums of 0, 1/2 and 1 are exact.
TEST_F(TrialityTest, MapsGenerateThePermutationsOfThree) {
  const at::Tensor one = at::eye(28, at::kDouble), rotation = product(tau_s(), tau_c());
  EXPECT_EQ(max_error(product(tau_s(), tau_s()), one), 0.0);
  EXPECT_EQ(max_error(product(tau_c(), tau_c()), one), 0.0);
  EXPECT_EQ(max_error(at::matmul(rotation, at::matmul(rotation, rotation)), one), 0.0);
  EXPECT_GT(max_error(rotation, one), 0.1);
}

TEST_F(TrialityTest, MapsHoldOnlyZeroAndHalves) {
  for (const Matrix28* map : {&tau_s(), &tau_c()})
    for (const So8Coordinates& row : *map)
      for (const double entry : row) EXPECT_TRUE(entry == 0.0 || entry == 0.5 || entry == -0.5) << entry;
}

// The rotations are good to 900 roundings (so8_rotation_test.cpp), so that a difference of V and a product of S and C
// is three times as far from 0. The loss is a mean over 64 pairs of the squares of 8 differences; an entry's derivative
// is 1/32 of 64 differences times entries of a rotation, whose magnitudes add up to 23 at most.
TEST_F(TrialityTest, LossVanishesForATrueTripleHoweverItIsScaled) {
  const double difference = 3 * roundings(900);
  const So8Coordinates a = random_coordinates();
  for (const double scale : {1e-3, 0.3, 1.0, 2.0}) {
    const at::Tensor triple = true_triple(a, scale);
    EXPECT_LT(triality_loss(triple).item<double>(), 8 * difference * difference) << scale;
    EXPECT_LT(max_abs(triality_loss_backward(triple)), difference) << scale;
  }
}

TEST_F(TrialityTest, LossVanishesForTheIdentityExactly) {
  const at::Tensor identity = at::eye(8, at::kDouble).expand({6, 8, 8});
  EXPECT_EQ(triality_loss(identity).item<double>(), 0.0);
}

TEST_F(TrialityTest, LossSeesAPermutedTriple) {
  const at::Tensor triple = true_triple(random_coordinates(), 1.0);
  EXPECT_GT(triality_loss(triple.index_select(0, at::tensor({1, 0, 2}))).item<double>(), 0.1);
}

// (count, 8, 8), uniform over SO(8): the Q of a Gaussian matrix with R's diagonal made positive and the determinant 1.
at::Tensor uniform_rotations(std::int64_t count) {
  const auto [q, r] = at::linalg_qr(at::randn({count, 8, 8}, at::kDouble));
  const at::Tensor orthogonal = q * r.diagonal(0, 1, 2).sign().unsqueeze(1);
  orthogonal.select(2, 0).mul_(at::linalg_det(orthogonal).unsqueeze(1));
  return orthogonal;
}

TEST_F(TrialityTest, LossOfThreeEqualUniformRotationsIsTwoOnAverage) {
  const at::Tensor rotations = uniform_rotations(3000).repeat_interleave(3, 0);
  std::vector<double> each;
  for (const at::Tensor& triple : rotations.split(3)) each.push_back(triality_loss(triple).item<double>());
  const auto [variance, mean] = at::var_mean(at::tensor(each, at::kDouble), 0);
  EXPECT_NEAR(mean.item<double>(), 2.0, 4 * std::sqrt(variance.item<double>() / 3000));
  // Sums of 3000 positive numbers: ours rounds each time, ATen's adds up in blocks.
  EXPECT_NEAR(triality_loss(rotations).item<double>(), mean.item<double>(), roundings(3000 + 1000) * 2.0);
}

// Each side adds up 256 positive numbers to 2 times their triples, half of that on the way: 256 roundings. A difference
// is off by 23 roundings in norm, a square by twice the difference (sqrt 2) times that: 65.
TEST_F(TrialityTest, LossFollowsItsDefinitionWithBlocksLeftOver) {
  for (const std::int64_t blocks : {3, 4, 5, 12}) {
    const at::Tensor rotation = random_rotations(blocks);
    EXPECT_NEAR(triality_loss(rotation).item<double>(), loss_by_definition(rotation), roundings(2 * (256 + 65)))
        << blocks;
  }
}

TEST_F(TrialityTest, GradientEqualsFiniteDifferencesAndSparesBlocksLeftOver) {
  for (const std::int64_t blocks : {4, 5}) {
    const at::Tensor rotation = random_rotations(blocks), gradient = triality_loss_backward(rotation);
    at::Tensor differences = at::empty_like(rotation);
    const double step = nkat::testing::kDifferenceStep;
    for (std::int64_t entry = 0; entry < rotation.numel(); ++entry) {
      const at::Tensor up = rotation.clone(), down = rotation.clone();
      up.view(-1)[entry] += step;
      down.view(-1)[entry] -= step;
      differences.view(-1)[entry] = (triality_loss(up) - triality_loss(down)) / (2 * step);
    }
    EXPECT_LE(max_error(gradient, differences), testing::central_difference_error() * max_abs(differences)) << blocks;
    EXPECT_EQ(max_abs(gradient.slice(0, 3)), 0.0);
  }
}

TEST_F(TrialityTest, FewerThanThreeBlocksCostNothing) {
  for (const std::int64_t blocks : {0, 1, 2}) {
    const at::Tensor rotation = random_rotations(blocks);
    EXPECT_EQ(triality_loss(rotation).item<double>(), 0.0);
    EXPECT_EQ(max_abs(triality_loss_backward(rotation)), 0.0);
  }
}

TEST_F(TrialityTest, Float32IsFloat64RoundedOnce) {
  const at::Tensor rotation = random_rotations(30).to(at::kFloat), wide = rotation.to(at::kDouble);
  EXPECT_EQ(triality_loss(rotation).item<float>(), static_cast<float>(triality_loss(wide).item<double>()));
  EXPECT_TRUE(at::equal(triality_loss_backward(rotation), triality_loss_backward(wide).to(at::kFloat)));
}

TEST_F(TrialityTest, DoesNotDependOnTheThreadCount) {
  const at::Tensor rotation = random_rotations(999);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor loss = triality_loss(rotation), gradient = triality_loss_backward(rotation);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(triality_loss(rotation), loss));
  EXPECT_TRUE(at::equal(triality_loss_backward(rotation), gradient));
  at::set_num_threads(before);
}

TEST_F(TrialityTest, NamesWhatItRefuses) {
  EXPECT_EQ(nkat::testing::message_of<ShapeError>([&] {
              triality_loss(at::zeros({3, 8, 9}));
            }),
            "triality_loss: expected rotation (N, 8, 8), found (3, 8, 9)");
}

}  // namespace
}  // namespace nkat::layers
