// SwiGLU: up SiLU(gate), gate the first half of the channels, up the second.
// Computed in float32 (float64 for float64 input), rounded once. Saved for backward: its input.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

}  // namespace nkat::layers
