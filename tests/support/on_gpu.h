// Holds a layer's function on the first CUDA device to the error rule of tolerance.h, forward and backward.
#pragma once

#include "tests/support/gradients.h"
#include "tests/support/tolerance.h"

namespace nkat::testing {

// x and direction are float64 on the CPU. In float32 and bfloat16: at most 2 (3) times plain ATen's error on the
// device, against plain ATen in float64 on the CPU at the same rounded input. In float64 a sum of n terms may differ by
// n roundings either side: 1e-12 of the largest value for rows of up to 4096. Same bits twice, on any stride.
inline void expect_good_on_gpu(const TensorFunction& ours, const TensorFunction& plain, const at::Tensor& x,
                               const at::Tensor& direction) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor input = x.to(at::kCUDA, type), weights = direction.to(at::kCUDA, type);
    const at::Tensor exact = input.to(at::kCPU, at::kDouble), exact_weights = weights.to(at::kCPU, at::kDouble);
    const at::Tensor y = ours(input), dx = gradient(ours, input, weights);
    EXPECT_TRUE(is_as_good_as(y, plain(input), plain(exact), kValueFactor)) << type << ' ' << x.sizes();
    EXPECT_TRUE(
        is_as_good_as(dx, gradient(plain, input, weights), gradient(plain, exact, exact_weights), kGradientFactor))
        << type << ' ' << x.sizes();
    EXPECT_TRUE(at::equal(ours(input), y)) << type;
    EXPECT_TRUE(at::equal(gradient(ours, input.t().contiguous().t(), weights.t().contiguous().t()), dx)) << type;
  }
  const at::Tensor input = x.to(at::kCUDA), weights = direction.to(at::kCUDA);
  const at::Tensor y = plain(x), dx = gradient(plain, x, direction);
  EXPECT_LE(max_error(ours(input), y), 1e-12 * max_abs(y)) << x.sizes();
  EXPECT_LE(max_error(gradient(ours, input, weights), dx), 1e-12 * max_abs(dx)) << x.sizes();
}

// The same values from an address that is no multiple of 16 bytes.
inline at::Tensor misaligned(const at::Tensor& x) {
  return at::empty({x.numel() + 1}, x.options()).slice(0, 1).view(x.sizes()).copy_(x);
}

}  // namespace nkat::testing
