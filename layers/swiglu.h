// SwiGLU: up * SiLU(gate), where gate is the first half of the channels and up the second.
// Computed in float32 (float64 for float64 input) and rounded once. Keeps for backward: its input.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

}  // namespace nkat::layers
