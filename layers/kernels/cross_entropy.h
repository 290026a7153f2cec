// Launcher of the cross-entropy's CUDA kernel; layers/cross_entropy.h is the interface to use, layers/cpu/cross_entropy.h the
// twin. Called with contiguous tensors on one CUDA device, float32, bfloat16 or float64.
// Errors: DeviceError when the program was built without kernels; c10::Error when a launch fails.
#pragma once

#include "layers/cpu/cross_entropy.h"

namespace nkat::layers::kernels {

// logits (C, V), targets (C) int64 in [0, V) -> losses (C), float32 (float64 for float64); if wanted, logits are
// overwritten by scale (softmax(logits) - onehot(target)), rounded once.
void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient);

}  // namespace nkat::layers::kernels
