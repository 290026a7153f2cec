// Measures of one 8x8 block, in float64. Row-major; no tensors.
#pragma once

#include <array>
#include <span>

namespace nkat::validation {

using Block = std::span<const double, 64>;

// ||R^T R - I||, Frobenius.
double orthogonality_error(Block rotation);
// By elimination with row pivots.
double determinant(Block matrix);
// The four angles of the rotation exp(A), A = (W - W^T)/2, descending, not taken modulo 2 pi: the eigenvalues of A are
// +-i times them. Error: some units of 1e-16 ||A||. Method: Householder reflections make A tridiagonal, even rows
// against odd columns of it are a bidiagonal 4x4 matrix, whose singular values are the angles (Ward, Gray 1978); those
// by one-sided Jacobi rotations (Hestenes 1958).
std::array<double, 4> rotation_angles(Block weight);
// ||A||, Frobenius: sqrt(2) times the norm of the angles.
double skew_norm(Block weight);

}  // namespace nkat::validation
