// Launchers of RMSNorm's CUDA kernels; layers/rms_norm.h is the interface to use, layers/cpu/rms_norm.h the twin.
// Called with checked, contiguous tensors on one CUDA device, x float32, bfloat16 or float64.
// Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include "layers/cpu/rms_norm.h"

namespace nkat::layers::kernels {

// x (T, H), weight (H) of x's dtype.
RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// gradient = dy (T, H), scale (T, 1) of the forward pass -> dx (T, H), dtype of x.
at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale);

}  // namespace nkat::layers::kernels
