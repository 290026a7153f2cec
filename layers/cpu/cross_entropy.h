// Softmax cross-entropy of rows of logits on the CPU; layers/cross_entropy.h is the interface to use.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::layers {

struct SoftmaxGradient {
  double scale = 1.0;
  bool wanted = false;
};

namespace cpu {

// logits (C, V) contiguous, targets (C) int64 in [0, V) -> losses (C) = logsumexp(logits_r) - logits_r[target_r],
// float32 (float64 for float64). If wanted, logits are overwritten by scale (softmax(logits) - onehot(target)).
void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient);

}  // namespace cpu
}  // namespace nkat::layers
