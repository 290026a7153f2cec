// How far a result may be from a float64 reference. The bound is derived, never picked: a fixed multiple of the error
// that plain ATen makes at the same dtype on the same input (2 for values, 3 for gradients), plus a floor of one unit
// in the last place of the largest entry, for where plain ATen happens to be exact.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

namespace nkat::testing {

constexpr double kValueFactor = 2.0;
constexpr double kGradientFactor = 3.0;

inline double max_abs(const at::Tensor& x) { return x.numel() == 0 ? 0.0 : x.abs().max().item<double>(); }

// max |actual - reference|; NaN where either holds one.
inline double max_error(const at::Tensor& actual, const at::Tensor& reference) {
  return max_abs(actual.detach().to(at::kCPU, at::kDouble) - reference.detach().to(at::kCPU, at::kDouble));
}

inline double unit_in_the_last_place(at::ScalarType type) {
  switch (type) {
    case at::kDouble: return 0x1p-52;
    case at::kFloat: return 0x1p-23;
    case at::kBFloat16: return 0x1p-7;
    default: return 0.0;
  }
}

// How far `count` roundings move a number, as a share of the number: half a unit in the last place each. A sum of n
// terms rounds n times, relative to the sum of |terms|; two computations of it differ by 2 n.
inline double roundings(double count, at::ScalarType type = at::kDouble) {
  return count * unit_in_the_last_place(type) / 2;
}

// How far central differences in float64 are from the derivative, relative to the largest entry: the Taylor series ends
// at step^2 times a third derivative, here 64 times the first at most; `count` roundings of the value divided by step.
constexpr double kDifferenceStep = 1e-5;
inline double central_difference_error(double count = 128) {
  return 64 * kDifferenceStep * kDifferenceStep + roundings(count) / kDifferenceStep;
}

// actual: under test. plain: ATen's own result at the dtype of `actual`. reference: float64.
inline ::testing::AssertionResult is_as_good_as(const at::Tensor& actual, const at::Tensor& plain,
                                                const at::Tensor& reference, double factor) {
  if (actual.sizes() != reference.sizes())
    return ::testing::AssertionFailure() << "sizes " << actual.sizes() << " against " << reference.sizes();
  const double floor = unit_in_the_last_place(actual.scalar_type()) * max_abs(reference);
  const double bound = factor * max_error(plain, reference) + floor, error = max_error(actual, reference);
  if (error <= bound) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "error " << error << " above " << factor
                                       << " x plain ATen's + floor = " << bound;
}

}  // namespace nkat::testing
