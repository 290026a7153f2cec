// y = x W^T with a frozen W.
// ATen's linear, given a W without gradient, keeps nothing but W for backward; a test counts the bytes it holds.
#pragma once

#include <ATen/ATen.h>

#include "core/error.h"

namespace nkat::layers {

// x (T, in), weight (out, in) -> (T, out)
inline at::Tensor frozen_linear(const at::Tensor& x, const at::Tensor& weight) {
  NKAT_INVARIANT(!weight.requires_grad());
  return at::linear(x, weight);
}

}  // namespace nkat::layers
