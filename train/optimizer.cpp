#include "train/optimizer.h"

#include <cmath>

#include <ATen/ops/_fused_adamw.h>

namespace nkat::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;

double square_sum(const at::Tensor& tensor) { return tensor.to(at::kDouble).square().sum().item<double>(); }

struct Group {
  at::Tensor parameter, gradient, first_moment, second_moment;
  double rate;
};

void update_group(const Group& group, std::int64_t updates, double epsilon) {
  const std::vector<at::Tensor> no_maximum;
  // The kernel expects the count with this update included.
  const std::vector<at::Tensor> steps = {at::full({}, static_cast<double>(updates), at::kFloat)};
  at::_fused_adamw_({group.parameter}, {group.gradient}, {group.first_moment}, {group.second_moment}, no_maximum, steps,
                    group.rate, kBeta1, kBeta2, /*weight_decay=*/0.0, epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace

OptimizerState OptimizerState::zeros_for(const models::Adapter& adapter) {
  const auto zeros = [&] { return AdapterGradient{at::zeros_like(adapter.weight), at::zeros_like(adapter.alpha)}; };
  return {zeros(), zeros(), 0};
}

ClipResult clip_by_global_norm(AdapterGradient& gradient, double maximum) {
  ClipResult result;
  result.norm = std::sqrt(square_sum(gradient.weight) + square_sum(gradient.alpha));
  result.clipped = maximum > 0.0 && result.norm > maximum;
  if (result.clipped) {
    gradient.weight.mul_(maximum / result.norm);
    gradient.alpha.mul_(maximum / result.norm);
  }
  return result;
}

double root_mean_square(const at::Tensor& tensor) {
  return tensor.numel() == 0 ? 0.0 : std::sqrt(square_sum(tensor) / static_cast<double>(tensor.numel()));
}

void adamw_update(models::Adapter& adapter, const AdapterGradient& gradient, OptimizerState& state,
                  const LearningRates& rates, double epsilon) {
  ++state.updates;
  update_group({adapter.weight, gradient.weight, state.first_moment.weight, state.second_moment.weight, rates.weight},
               state.updates, epsilon);
  update_group({adapter.alpha, gradient.alpha, state.first_moment.alpha, state.second_moment.alpha, rates.alpha},
               state.updates, epsilon);
}

}  // namespace nkat::train
