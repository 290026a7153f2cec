// Launchers of the layers' CUDA kernels; layers/x.h is the interface and checks the arguments, kernels/x.cu defines x,
// cpu/loops.h is the reference. no_cuda.cpp stands in for all of them in a build without CUDA.
// Tensors are contiguous, on one CUDA device, float32, bfloat16 or float64 (the rotation: float32 or float64).
// Arithmetic is float32 (float64 for float64), each result rounded once. Nothing here waits for the device.
// Errors: DeviceError in a build without CUDA; c10::Error when a launch fails.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

#include "layers/kernels/arguments.h"

namespace nkat::layers::kernels {

// x (T, H), weight (H) of x's dtype.
RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// gradient = dy (T, H), scale (T, 1) of the forward pass -> dx (T, H), dtype of x
at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale);

// Rotates the first heads.count heads of heads.head_dim channels of each of rows (T, ...) in place, by the angles or,
// if `back`, by their opposites.
void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back);

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

// gradient = dy (T, F) -> (T, 2F)
at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up);

// logits (C, V), targets (C) int64 in [0, V) -> losses (C), float32 (float64 for float64). If wanted, logits are
// overwritten by scale (softmax(logits) - onehot(target)).
void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient);

// residual, h (T, H), matrices M (N, 8, 8) float32 (float64 for float64 h) -> residual + M h (T, H)
at::Tensor add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices);

struct BlockDiagonalGradient {
  at::Tensor h;         // Mᵀ dy (T, H), or undefined
  at::Tensor matrices;  // Σ_t dy hᵀ (N, 8, 8), or undefined
};

// gradient = dy, h (T, H); h may be undefined where dM is not needed. needs = {dh, dM}: the other stays undefined.
BlockDiagonalGradient block_diagonal_backward(const at::Tensor& gradient, const at::Tensor& h,
                                              const at::Tensor& matrices, std::array<bool, 2> needs);

// weight W (..., 8, 8) -> R (..., 8, 8), the same dtype
at::Tensor so8_rotation(const at::Tensor& weight);

// weight W and rotation_gradient = dL/dR, both (..., 8, 8) of one dtype -> dL/dW (..., 8, 8), skew
at::Tensor so8_rotation_backward(const at::Tensor& weight, const at::Tensor& rotation_gradient);

}  // namespace nkat::layers::kernels
