// Fused linear and cross-entropy of the rows that have a target: logits exist for one chunk of rows at a time and are
// overwritten by their own gradient, so memory is chunk_rows x V instead of T x V (layers/MATHEMATICS.md 10).
//
//   logits = x Wᵀ, float32 on a CPU that widens BF16 products, else dtype of x (linear_fp32_out)
//   loss_r = logsumexp(logits_r) - logits_r[target_r], in float32 (float64 for float64 x)
//   dL/dx = scale (softmax(logits) - onehot) W
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct CrossEntropy {
  at::Tensor losses;    // (R) nats per row, float32 (float64 for float64 x)
  at::Tensor gradient;  // (R, H) dtype of x: d(scale Σ losses)/dx; undefined unless asked for
};

struct CrossEntropyOptions {
  double scale = 1.0;
  bool want_gradient = false;
  std::int64_t chunk_rows = 256;  // rows whose logits exist at once
};

// x (R, H), targets (R) int64 in [0, V), head_weight (V, H). Records no autograd.
CrossEntropy cross_entropy(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& head_weight,
                           const CrossEntropyOptions& options);

}  // namespace nkat::layers
