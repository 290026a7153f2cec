// What the layers' CPU loops (cpu/loops.h) and their CUDA launchers (launchers.h) both take or return.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct RmsNormResult {
  at::Tensor y;      // (T, H) dtype of x
  at::Tensor scale;  // (T, 1) 1 / sqrt(mean(x²) + eps), float32 (float64 for float64 x)
};

struct RopeAngles {
  at::Tensor cos;  // (T, rotary_dim / 2)
  at::Tensor sin;  // (T, rotary_dim / 2)
};

// The heads at the start of a row.
struct HeadSpan {
  std::int64_t count = 0;
  std::int64_t head_dim = 0;
};

struct SoftmaxGradient {
  double scale = 1.0;
  bool wanted = false;
};

}  // namespace nkat::layers
