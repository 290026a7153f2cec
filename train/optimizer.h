// AdamW over the adapter's two parameter groups, rotation weights and gates, without weight decay: β = (0.9, 0.999),
// the update itself by ATen's fused kernel. Gradients of both are clipped together by their global norm.
//
// Shapes: A layers with an adapter, N blocks; everything float32 on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/adapter.h"

namespace nkat::train {

struct AdapterGradient {
  at::Tensor weight;  // (A, N, 8, 8)
  at::Tensor alpha;   // (A)
};

struct OptimizerState {
  AdapterGradient first_moment;
  AdapterGradient second_moment;
  std::int64_t updates = 0;  // applied ones: a skipped step does not count for the bias correction

  static OptimizerState zeros_for(const models::Adapter& adapter);
};

struct LearningRates {
  double weight = 0.0;
  double alpha = 0.0;
};

struct ClipResult {
  double norm = 0.0;  // before clipping
  bool clipped = false;
};

// √(Σ g²) over both groups, accumulated in float64. maximum 0: only measures.
ClipResult clip_by_global_norm(AdapterGradient& gradient, double maximum);

double root_mean_square(const at::Tensor& tensor);

void adamw_update(models::Adapter& adapter, const AdapterGradient& gradient, OptimizerState& state,
                  const LearningRates& rates, double epsilon);

}  // namespace nkat::train
