// Rotary embedding on the CPU, in place; layers/rope.h is the interface to use.
#pragma once

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::layers::cpu {

// Turns the first `heads` heads of head_dim channels of each of rows (T, ...), contiguous, by the angles, or back.
// Products and sums in float32 (float64 for float64), each channel rounded once.
void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back);

}  // namespace nkat::layers::cpu
