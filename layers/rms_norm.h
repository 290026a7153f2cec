// RMSNorm as Phi-3 defines it: y = round(x / sqrt(mean(x^2) + eps)) * w, where the quotient is computed in float32
// (float64 for float64 input) and rounded to x's type before it meets w. The weight is frozen.
// Keeps for backward: x and one reciprocal root a row.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// x (T, H), weight (H), both of one type -> (T, H)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace nkat::layers
