// The geometry of one layer at one checkpoint, over its N blocks. Norms are Frobenius norms, angles in radians.
#pragma once

#include <cstdint>

namespace nkat::validation {

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

}  // namespace nkat::validation
