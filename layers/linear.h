// y = x Wᵀ with a frozen W, and dx = dy W. Saved for backward: W.
// Computed by ATen, or by cpu/bf16_gemm.h for BF16 on a CPU where that is faster. quantized/weight.h adds quantized W.
// Errors: ShapeError.
// Qualify calls with two tensors (layers::linear): at::linear is found by their type as well.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// x (T, in), weight (out, in) -> (T, out)
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight);

// The same without autograd and with unrounded logits: float32 out where BF16 products are taken in float32 (for any
// number of rows, so that a loss does not depend on it), else x's dtype.
at::Tensor linear_fp32_out(const at::Tensor& x, const at::Tensor& weight);

// gradient (T, out) of the dtype that linear or linear_fp32_out returned -> dy W (T, in) in weight's dtype.
at::Tensor linear_backward(const at::Tensor& gradient, const at::Tensor& weight);

}  // namespace nkat::layers
