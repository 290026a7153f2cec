// AdamW over the adapter's two parameter groups, rotation weights and gates: beta = (0.9, 0.999), no weight decay, the
// update by ATen's fused kernel. The gradients of both groups are clipped together by their global norm.
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
  std::int64_t updates = 0;  // skipped steps don't count: bias correction

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

// The norm of both groups together, accumulated in float64. maximum 0: measures without clipping.
ClipResult clip_by_global_norm(AdapterGradient& gradient, double maximum);

double root_mean_square(const at::Tensor& tensor);

void adamw_update(models::Adapter& adapter, const AdapterGradient& gradient, OptimizerState& state,
                  const LearningRates& rates, double epsilon);

}  // namespace nkat::train
