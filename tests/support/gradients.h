// Gradients of tensor functions, by autograd and by central differences.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/support/tolerance.h"

namespace nkat::testing {

using TensorFunction = std::function<at::Tensor(const at::Tensor&)>;

// d <f(x), direction> / dx. The function gets a tensor that is not a leaf, as layers do.
inline at::Tensor gradient(const TensorFunction& f, const at::Tensor& x, const at::Tensor& direction) {
  const at::Tensor leaf = x.detach().clone().requires_grad_(true);
  const at::Tensor y = f(leaf * 1);
  return torch::autograd::grad({y}, {leaf}, {direction})[0];
}

// The same by central differences in float64, good to central_difference_error().
inline at::Tensor numerical_gradient(const TensorFunction& f, const at::Tensor& x, const at::Tensor& direction) {
  const at::NoGradGuard no_grad;
  at::Tensor result = at::zeros_like(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto at_offset = [&](double offset) {
      at::Tensor moved = x.detach().clone();
      moved.view(-1)[i] += offset;
      return (f(moved) * direction).sum().item<double>();
    };
    result.view(-1)[i] = (at_offset(kDifferenceStep) - at_offset(-kDifferenceStep)) / (2 * kDifferenceStep);
  }
  return result;
}

// max |a - b| / max |b|
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor reference = b.to(at::kDouble);
  return ((a.to(at::kDouble) - reference).abs().max() / reference.abs().max()).item<double>();
}

}  // namespace nkat::testing
