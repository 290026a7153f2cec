#include "validation/geometry/rotation_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "core/random.h"
#include "layers/cpu/mat8.h"

namespace nkat::validation {
namespace {

using layers::Mat8;
constexpr double kEpsilon = 0x1p-52;

Block block(const Mat8& matrix) { return Block(&matrix.at[0][0], 64); }

// exp of it turns the plane (2i, 2i+1) by angles[i].
Mat8 skew_of(const std::array<double, 4>& angles) {
  Mat8 a = {};
  for (std::size_t i = 0; i < 4; ++i) {
    a.at[2 * i][2 * i + 1] = -angles[i];
    a.at[2 * i + 1][2 * i] = angles[i];
  }
  return a;
}

// The rotation itself, in closed form.
Mat8 rotation_by(const std::array<double, 4>& angles) {
  Mat8 r = {};
  for (std::size_t i = 0; i < 4; ++i) {
    r.at[2 * i][2 * i] = r.at[2 * i + 1][2 * i + 1] = std::cos(angles[i]);
    r.at[2 * i + 1][2 * i] = std::sin(angles[i]);
    r.at[2 * i][2 * i + 1] = -std::sin(angles[i]);
  }
  return r;
}

// A product of random reflections, so orthogonal; determinant (-1)^count.
Mat8 reflections(int count, std::uint64_t seed) {
  RandomStream random(seed, "test-reflections");
  Mat8 q = layers::kIdentity8;
  for (int i = 0; i < count; ++i) {
    double v[8], squares = 0;
    for (double& x : v) {
      x = random.normal();
      squares += x * x;
    }
    Mat8 h = layers::kIdentity8;
    for (std::size_t r = 0; r < 8; ++r)
      for (std::size_t c = 0; c < 8; ++c) h.at[r][c] -= 2 * v[r] * v[c] / squares;
    q = layers::multiply(q, h);
  }
  return q;
}

Mat8 turned(const Mat8& q, const Mat8& a) { return layers::multiply(layers::multiply(q, a), layers::transpose(q)); }

TEST(RotationAngles, AreThoseOfTheFourPlanes) {
  const auto angles = rotation_angles(block(skew_of({0.5, 3.0, 0.0, 1e-3})));
  EXPECT_EQ(angles, (std::array{3.0, 0.5, 1e-3, 0.0}));
}

// Each of the seven reflections and the Jacobi sweeps moves A by a few units in the last place of its norm, and so do
// the products that turn it here: 100 units leave room for all of them.
TEST(RotationAngles, AreTheSameInAnyBasis) {
  const std::array<double, 4> cases[] = {
      {3.0, 2.0, 1.0, 0.5}, {2.0, 2.0, 2.0, 2.0}, {9.0, 1e-4, 1e-4, 0.0}, {1e3, 1.0, 1e-3, 1e-6}, {0, 0, 0, 0}};
  for (const auto& expected : cases) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto angles = rotation_angles(block(turned(reflections(8, seed), skew_of(expected))));
      for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(angles[i], expected[i], 100 * kEpsilon * expected[0]) << seed;
    }
  }
}

// |A|^2 = 2 sum of squared angles, for any A.
TEST(RotationAngles, FitTheNormOfRandomWeights) {
  RandomStream random(3, "test-weights");
  for (int i = 0; i < 200; ++i) {
    Mat8 weight;
    for (auto& row : weight.at)
      for (double& entry : row) entry = random.normal();
    double squares = 0;
    for (const double angle : rotation_angles(block(weight))) squares += angle * angle;
    EXPECT_NEAR(std::sqrt(2 * squares), skew_norm(block(weight)), 100 * kEpsilon * skew_norm(block(weight)));
  }
}

TEST(RotationAngles, IgnoreTheSymmetricPart) {
  Mat8 weight = skew_of({0.5, 0.25, 0.125, 0.0});
  for (std::size_t i = 0; i < 8; ++i) weight.at[i][i] = 7.0;
  weight.at[0][7] += 3.0;
  weight.at[7][0] += 3.0;
  EXPECT_EQ(rotation_angles(block(weight)), (std::array{0.5, 0.25, 0.125, 0.0}));
  EXPECT_DOUBLE_EQ(skew_norm(block(weight)), std::sqrt(2 * (0.25 + 0.0625 + 0.015625)));
}

TEST(OrthogonalityError, IsZeroForRotationsAndGrowsWithTheScale) {
  const Mat8 rotation = rotation_by({0.5, 3.0, 0.0, 1e-3});
  EXPECT_LT(orthogonality_error(block(rotation)), 8 * kEpsilon);  // cos^2 + sin^2 rounds to 1 within two units, 8 times
  Mat8 doubled = rotation;
  for (auto& row : doubled.at)
    for (double& entry : row) entry *= 2;
  EXPECT_NEAR(orthogonality_error(block(doubled)), 3 * std::sqrt(8.0), 1e-14);
  Mat8 sheared = layers::kIdentity8;
  sheared.at[2][5] = 0.5;  // R^T R - I: 0.5 at (2,5) and (5,2), 0.25 at (5,5)
  EXPECT_DOUBLE_EQ(orthogonality_error(block(sheared)), std::sqrt(0.25 + 0.25 + 0.0625));
}

TEST(Determinant, TellsRotationsFromReflections) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_NEAR(determinant(block(reflections(8, seed))), 1.0, 100 * kEpsilon);
    EXPECT_NEAR(determinant(block(reflections(7, seed))), -1.0, 100 * kEpsilon);
  }
}

TEST(Determinant, IsTheProductOfTheDiagonalOfATriangle) {
  Mat8 triangle = {};
  for (std::size_t row = 0; row < 8; ++row)
    for (std::size_t column = row; column < 8; ++column) triangle.at[row][column] = row == column ? 2.0 : 0.5;
  EXPECT_DOUBLE_EQ(determinant(block(triangle)), 256.0);
  std::swap(triangle.at[0], triangle.at[7]);
  EXPECT_DOUBLE_EQ(determinant(block(triangle)), -256.0);
  triangle.at[3][3] = triangle.at[3][4] = triangle.at[3][5] = triangle.at[3][6] = triangle.at[3][7] = 0;
  EXPECT_EQ(determinant(block(triangle)), 0.0);
}

}  // namespace
}  // namespace nkat::validation
