// Launchers of SwiGLU's CUDA kernels; layers/swiglu.h is the interface to use, layers/cpu/swiglu.h the twin.
// Called with contiguous tensors on one CUDA device, float32, bfloat16 or float64.
// Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers::kernels {

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

// gradient = dy (T, F) -> (T, 2F), each value rounded once
at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up);

}  // namespace nkat::layers::kernels
