// RMSNorm on the CPU, one pass a row; layers/rms_norm.h is the interface to use. Called with checked, contiguous
// tensors. Sums run in an order that H alone fixes, so the bits do not depend on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct RmsNormResult {
  at::Tensor y;      // (T, H) dtype of x
  at::Tensor scale;  // (T, 1) 1 / sqrt(mean(x^2) + eps), float32 (float64 for float64 x)
};

namespace cpu {

// x (T, H), weight (H) of x's dtype.
RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// With n = x scale and g = w dy:  dx = scale (g - n mean(g n)), rounded once. gradient = dy (T, H) -> dx (T, H)
at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale);

}  // namespace cpu
}  // namespace nkat::layers
