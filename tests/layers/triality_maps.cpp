#include "tests/layers/triality_maps.h"

#include <vector>

#include "layers/cpu/octonion.h"

namespace nkat::layers {
namespace {

// A generator of so(8) with its images under both maps.
struct Generator {
  Mat8 v, s, c;
};

Mat8 combine(const Mat8& a, double factor, const Mat8& b) {
  Mat8 out;
  multiply_add(a, factor, b, kIdentity8, out);
  return out;
}

Mat8 commutator(const Mat8& a, const Mat8& b) { return combine(multiply(a, b), -1.0, multiply(b, a)); }

// Left multiplications by the imaginary units generate so(8): a(xy) = (axa)(a^-1 y) (Moufang) gives, with a = exp(t e),
// L_e(xy) = (L_e x + R_e x) y - x (L_e y). Their 21 commutators complete an orthogonal basis, and the maps are
// homomorphisms of Lie algebras.
std::vector<Generator> generators() {
  std::vector<Generator> basis;
  for (std::size_t unit = 1; unit < 8; ++unit) {
    double e[8] = {};
    e[unit] = 1;
    const Mat8 left = left_multiplication(e);
    basis.push_back({.v = left, .s = combine(left, 1.0, right_multiplication(e)), .c = combine({}, -1.0, left)});
  }
  for (std::size_t a = 0; a < 7; ++a)
    for (std::size_t b = a + 1; b < 7; ++b)
      basis.push_back({.v = commutator(basis[a].v, basis[b].v),
                       .s = commutator(basis[a].s, basis[b].s),
                       .c = commutator(basis[a].c, basis[b].c)});
  return basis;
}

// sum over the basis of image x generator^T / |generator|^2.
Matrix28 map_onto(Mat8 Generator::*image) {
  Matrix28 map{};
  for (const Generator& generator : generators()) {
    const So8Coordinates from = so8_coordinates(generator.v), to = so8_coordinates(generator.*image);
    double square = 0;
    for (const double x : from) square += x * x;
    for (std::size_t row = 0; row < 28; ++row)
      for (std::size_t column = 0; column < 28; ++column) map[row][column] += to[row] * from[column] / square;
  }
  return map;
}

}  // namespace

So8Coordinates so8_coordinates(const Mat8& skew) {
  So8Coordinates out;
  std::size_t next = 0;
  for (std::size_t p = 0; p < 8; ++p)
    for (std::size_t q = p + 1; q < 8; ++q) out[next++] = skew.at[p][q];
  return out;
}

Mat8 so8_from_coordinates(const So8Coordinates& coordinates) {
  Mat8 out = {};
  std::size_t next = 0;
  for (std::size_t p = 0; p < 8; ++p)
    for (std::size_t q = p + 1; q < 8; ++q, ++next) {
      out.at[p][q] = coordinates[next];
      out.at[q][p] = -coordinates[next];
    }
  return out;
}

const Matrix28& tau_s() {
  static const Matrix28 map = map_onto(&Generator::s);
  return map;
}

const Matrix28& tau_c() {
  static const Matrix28 map = map_onto(&Generator::c);
  return map;
}

So8Coordinates apply(const Matrix28& map, const So8Coordinates& coordinates) {
  So8Coordinates out{};
  for (std::size_t row = 0; row < 28; ++row)
    for (std::size_t column = 0; column < 28; ++column) out[row] += map[row][column] * coordinates[column];
  return out;
}

}  // namespace nkat::layers
