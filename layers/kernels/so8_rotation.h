// Launchers of the rotation's CUDA kernels; layers/so8_rotation.h is the interface to use, and its CPU path the twin.
// Called with checked, contiguous tensors (..., 8, 8) on one CUDA device, float32 or float64. Nothing here waits for
// the device. Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers::kernels {

// weight W (..., 8, 8) -> R (..., 8, 8), the same dtype.
at::Tensor so8_rotation(const at::Tensor& weight);

// weight W and rotation_gradient = dL/dR, both (..., 8, 8) of one dtype -> dL/dW (..., 8, 8), skew.
at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient);

}  // namespace nkat::layers::kernels
