// How many values of a tensor are NaN or infinite, without a copy of it: on a CPU by their bits, since LibTorch's sum
// of bfloat16 widens the whole tensor first, which took twice as long as reading a model. tensor: contiguous, float32,
// bfloat16, float16 or float64, on any device.
#pragma once

#include <ATen/core/Tensor.h>

namespace nkat::models {

std::int64_t count_nonfinite(const at::Tensor& tensor);

}  // namespace nkat::models
