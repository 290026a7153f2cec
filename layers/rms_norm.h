// RMSNorm as in Llama and Phi-3 (layers/MATHEMATICS.md 9): y = round(x / sqrt(mean(x²) + eps)) w. The quotient is float32
// (float64 for float64 x), rounded to x's dtype before it is multiplied by w. The weight is frozen.
// Saved for backward: x and one reciprocal root per row.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// x (T, H), weight (H), of one dtype -> (T, H)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace nkat::layers
