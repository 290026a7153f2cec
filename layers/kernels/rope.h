// Launcher of the rotary embedding's CUDA kernel; layers/rope.h is the interface to use, layers/cpu/rope.h the twin.
// Called with contiguous tensors on one CUDA device, float32, bfloat16 or float64.
// Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::layers::kernels {

// Turns the first heads.count heads of heads.head_dim channels of each of rows (T, ...) by the angles, or back.
void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back);

}  // namespace nkat::layers::kernels
