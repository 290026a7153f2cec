// The layers' inner loops on the CPU, one pass over the rows each, and what the CUDA kernels are held to
// (kernels/launchers.h). layers/x.h is the interface and checks the arguments; cpu/x.cpp defines x.
// Tensors are contiguous and on the CPU, float32, bfloat16 or float64. Arithmetic is float32 (float64 for float64),
// each result rounded once, results overwritten. On one machine, bits depend on the shapes alone, not on the number of
// threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "layers/kernels/arguments.h"

namespace nkat::layers::cpu {

// x (T, H), weight (H) of x's dtype.
RmsNormResult rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// With n = x scale and g = w dy: dx = scale (g - n mean(g n)). gradient = dy (T, H) -> dx (T, H)
at::Tensor rms_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& scale);

// Rotates the first heads.count heads of heads.head_dim channels of each of rows (T, ...) in place, by the angles or,
// if `back`, by their opposites.
void rotate_heads_(const at::Tensor& rows, const RopeAngles& angles, HeadSpan heads, bool back);

// gate_up (T, 2F) -> (T, F)
at::Tensor swiglu(const at::Tensor& gate_up);

// d gate = dy up SiLU'(gate), d up = dy SiLU(gate). gradient = dy (T, F) -> (T, 2F)
at::Tensor swiglu_backward(const at::Tensor& gradient, const at::Tensor& gate_up);

// logits (C, V), targets (C) int64 in [0, V) -> losses (C) = logsumexp(logits_r) - logits_r[target_r], float32 (float64
// for float64). If wanted, logits are overwritten by scale (softmax(logits) - onehot(target)).
void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient);

// residual, h (T, H), matrices M (N, 8, 8) -> out = residual + M h (T, H)
void add_block_diagonal(const at::Tensor& residual, const at::Tensor& h, const at::Tensor& matrices,
                        const at::Tensor& out);

struct BlockDiagonalBackward {
  const at::Tensor& gradient;           // dy (T, H)
  const at::Tensor& h;                  // (T, H); may be undefined where matrices_gradient is
  const at::Tensor& matrices;           // M (N, 8, 8)
  const at::Tensor& h_gradient;         // out: Mᵀ dy (T, H), or undefined
  const at::Tensor& matrices_gradient;  // out: Σ_t dy hᵀ (N, 8, 8), or undefined
};
void block_diagonal_backward(const BlockDiagonalBackward& tensors);

}  // namespace nkat::layers::cpu
