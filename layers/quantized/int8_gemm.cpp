#include "layers/quantized/int8_gemm.h"

#include <ATen/ops/_int_mm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "layers/check.h"
#include "layers/cpu/gemm_tiles.h"

namespace nkat::layers {

bool int8_gemm_saturates() {
  static const bool saturate = [] {
    constexpr std::int64_t kSide = 64, kLargest = 127;
    const at::Tensor ones = at::full({kSide, kSide}, kLargest, at::kChar);
    return !at::_int_mm(ones, ones.t()).eq(kSide * kLargest * kLargest).all().item<bool>();
  }();
  return saturate;
}

bool int8_gemm_in_float() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512vnni")) return true;
#endif
  return int8_gemm_saturates();
}

at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right) {
  constexpr std::string_view kWho = "int8_gemm";
  check_shape(kWho, "left", left, {{"P"}, {"K"}});
  check_shape(kWho, "right", right, {{"K", left.size(1)}, {"C"}});
  if (!right.t().is_contiguous()) {
    throw ShapeError("int8_gemm: " + expected(fmt::format("right ({}, {}) column-major", right.size(0), right.size(1)),
                                              fmt::format("strides ({}, {})", right.stride(0), right.stride(1)),
                                              "pass a transposed copy"));
  }
  return left.is_cpu() && int8_gemm_in_float() ? plain::int8_gemm(left, right) : at::_int_mm(left, right);
}

namespace plain {

at::Tensor int8_gemm(const at::Tensor& left, const at::Tensor& right) {
  at::Tensor sums = at::zeros({left.size(0), right.size(1)}, left.options().dtype(at::kInt));
  for (std::int64_t first = 0; first < left.size(1); first += kInt8FloatDepth) {
    const std::int64_t count = std::min(kInt8FloatDepth, left.size(1) - first);
    const at::Tensor part =
        left.narrow(1, first, count).to(at::kFloat).mm(right.narrow(0, first, count).to(at::kFloat));
    sums.add_(part.to(at::kInt));
  }
  return sums;
}

}  // namespace plain

}  // namespace nkat::layers
