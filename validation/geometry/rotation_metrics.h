// Metrics of 8x8 rotation blocks in float64, row-major, without tensors. Norms are Frobenius norms, angles in radians.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace nkat::validation {

// One layer at one checkpoint, over its N blocks.
struct RotationQuality {
  double orthogonality_max = 0.0;  // ||R^T R - I||
  double orthogonality_mean = 0.0;
  double determinant_max = 0.0;  // |det R - 1|
  double triality = 0.0;         // the layer's triality loss
};

struct GeometryRow {
  std::int64_t step = 0;
  std::int64_t layer = 0;
  RotationQuality exact = {};  // R in float64
  RotationQuality bf16 = {};   // the same R rounded to BF16
  double angle_max = 0.0;      // the imaginary parts of the eigenvalues of A, four a block
  double angle_median = 0.0;   // of all 4 N angles
  double norm_max = 0.0;       // ||A||
};

using Block = std::span<const double, 64>;

// ||R^T R - I||.
double orthogonality_error(Block rotation);
// By elimination with row pivots.
double determinant(Block matrix);
// The four angles of the rotation exp(A), A = (W - W^T)/2, descending, not taken modulo 2 pi: the eigenvalues of A are
// +-i times them. Error: some units of 1e-16 ||A||. Method: Householder reflections make A tridiagonal, even rows
// against odd columns of it are a bidiagonal 4x4 matrix, whose singular values are the angles (Ward, Gray 1978); those
// by one-sided Jacobi rotations (Hestenes 1958).
std::array<double, 4> rotation_angles(Block weight);
// ||A||: sqrt(2) times the norm of the angles.
double skew_norm(Block weight);

}  // namespace nkat::validation
