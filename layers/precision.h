// In which precision element-wise layers compute: float64 stays float64, everything else is float32, rounded once.
#pragma once

#include <ATen/ATen.h>

namespace nkat::layers {

inline at::ScalarType compute_dtype(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace nkat::layers
