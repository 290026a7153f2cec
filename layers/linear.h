// y = x Wᵀ with a frozen W, dx = dy W; nothing but W is kept for backward (a test counts the bytes).
// ATen's linear, or layers/cpu/bf16_gemm.h for BF16 on a CPU where that is the faster way.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// x (T, in), weight (out, in) -> (T, out)
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight);

// The same without autograd, for a head whose logits are better not rounded: float32 where BF16 products are taken in
// float32 (whatever the number of rows, so that a loss does not depend on it), else x's dtype.
at::Tensor linear_fp32_out(const at::Tensor& x, const at::Tensor& weight);

// gradient (T, out) of x's dtype or of linear_fp32_out's -> dy W (T, in) in weight's dtype.
at::Tensor linear_backward(const at::Tensor& gradient, const at::Tensor& weight);

}  // namespace nkat::layers
