// The triality maps of so(8), to build and check triality triples in tests: for A_v skew there is one pair with
// A_v(x y) = A_s(x) y + x A_c(y) for all octonions, and A_s = tau_s A_v, A_c = tau_c A_v are linear in the 28
// coordinates A[p][q], p < q (layers/MATHEMATICS.md 3).
#pragma once

#include <array>

#include "layers/cpu/mat8.h"

namespace nkat::layers {

using So8Coordinates = std::array<double, 28>;  // A[0][1], A[0][2], ..., A[6][7]
using Matrix28 = std::array<So8Coordinates, 28>;

So8Coordinates so8_coordinates(const Mat8& skew);
Mat8 so8_from_coordinates(const So8Coordinates& coordinates);

// Orthogonal, entries in {0, 1/2, -1/2}; tau_s^2 = tau_c^2 = (tau_s tau_c)^3 = 1.
const Matrix28& tau_s();
const Matrix28& tau_c();

So8Coordinates apply(const Matrix28& map, const So8Coordinates& coordinates);

}  // namespace nkat::layers
