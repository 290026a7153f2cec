#include "validation/geometry/rotation_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "layers/cpu/mat8.h"

namespace nkat::validation {
namespace {

using layers::Mat8;

using Bidiagonal = std::array<std::array<double, 4>, 4>;  // by column: the sums below run over columns

// Reflects rows and columns k+1..7 so that column k is zero below its entry at row k+1; returns that entry.
// With H = I - t v v^T and p = t A v: H A H = A + v p^T - p v^T, because v^T A v = 0.
double reflect_column(Mat8& a, std::size_t k) {
  double squares = 0;  // of numbers that were float32: no overflow
  for (std::size_t row = k + 1; row < 8; ++row) squares += a.at[row][k] * a.at[row][k];
  if (squares == 0) return 0;
  const double norm = std::sqrt(squares);
  std::array<double, 8> v = {}, p = {};
  for (std::size_t row = k + 1; row < 8; ++row) v[row] = a.at[row][k];
  const double entry = v[k + 1] > 0 ? -norm : norm;
  v[k + 1] -= entry;
  const double t = -1 / (entry * v[k + 1]);  // 2 / v^T v
  for (std::size_t row = k + 1; row < 8; ++row)
    for (std::size_t column = k + 1; column < 8; ++column) p[row] += t * a.at[row][column] * v[column];
  for (std::size_t row = k + 1; row < 8; ++row)
    for (std::size_t column = k + 1; column < 8; ++column) a.at[row][column] += v[row] * p[column] - p[row] * v[column];
  return entry;
}

// Even rows against odd columns of the tridiagonal form of a skew matrix: all that it holds.
Bidiagonal bidiagonal_of(const Mat8& skew) {
  Mat8 a = skew;
  Bidiagonal columns = {};
  for (std::size_t k = 0; k < 7; ++k) {
    const double below = reflect_column(a, k);  // entry (k+1, k); (k, k+1) is its negative
    if (k % 2 == 0) columns[k / 2][k / 2] = -below;
    if (k % 2 == 1) columns[k / 2][(k + 1) / 2] = below;
  }
  return columns;
}

double dot(const std::array<double, 4>& a, const std::array<double, 4>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Makes two columns orthogonal; false if they were.
bool orthogonalize(std::array<double, 4>& p, std::array<double, 4>& q) {
  const double product = dot(p, q);
  const double pp = dot(p, p), qq = dot(q, q);
  if (std::abs(product) <= std::numeric_limits<double>::epsilon() * std::sqrt(pp * qq)) return false;
  const double zeta = (qq - pp) / (2 * product);
  const double tangent = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double cosine = 1 / std::hypot(1.0, tangent), sine = cosine * tangent;
  for (std::size_t row = 0; row < 4; ++row) {
    const double before = p[row];
    p[row] = cosine * before - sine * q[row];
    q[row] = sine * before + cosine * q[row];
  }
  return true;
}

Mat8 skew_of(Block weight) { return layers::skew_part(layers::load_matrix8(weight.data())); }

}  // namespace

double orthogonality_error(Block rotation) {
  const Mat8 r = layers::load_matrix8(rotation.data());
  const Mat8 product = layers::multiply(layers::transpose(r), r);
  double sum = 0;
  for (std::size_t row = 0; row < 8; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      const double difference = product.at[row][column] - (row == column ? 1.0 : 0.0);
      sum += difference * difference;
    }
  }
  return std::sqrt(sum);
}

double determinant(Block matrix) {
  Mat8 a = layers::load_matrix8(matrix.data());
  double product = 1;
  for (std::size_t k = 0; k < 8; ++k) {
    std::size_t pivot = k;
    for (std::size_t row = k + 1; row < 8; ++row)
      if (std::abs(a.at[row][k]) > std::abs(a.at[pivot][k])) pivot = row;
    if (a.at[pivot][k] == 0) return 0;
    if (pivot != k) {
      std::swap(a.at[pivot], a.at[k]);
      product = -product;
    }
    product *= a.at[k][k];
    for (std::size_t row = k + 1; row < 8; ++row) {
      const double factor = a.at[row][k] / a.at[k][k];
      for (std::size_t column = k + 1; column < 8; ++column) a.at[row][column] -= factor * a.at[k][column];
    }
  }
  return product;
}

std::array<double, 4> rotation_angles(Block weight) {
  constexpr int kMostSweeps = 30;  // quadratic convergence needs four or five
  Bidiagonal columns = bidiagonal_of(skew_of(weight));
  bool changed = true;
  for (int sweep = 0; sweep < kMostSweeps && changed; ++sweep) {
    changed = false;
    for (std::size_t p = 0; p < 3; ++p)
      for (std::size_t q = p + 1; q < 4; ++q) changed = orthogonalize(columns[p], columns[q]) || changed;
  }
  std::array<double, 4> angles = {};
  for (std::size_t i = 0; i < 4; ++i) angles[i] = std::sqrt(dot(columns[i], columns[i]));
  std::sort(angles.begin(), angles.end(), std::greater<>());
  return angles;
}

double skew_norm(Block weight) {
  const Mat8 a = skew_of(weight);
  double sum = 0;
  for (const auto& row : a.at)
    for (const double entry : row) sum += entry * entry;
  return std::sqrt(sum);
}

}  // namespace nkat::validation
