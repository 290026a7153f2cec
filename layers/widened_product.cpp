#include "layers/widened_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "layers/element.h"

namespace nkat::layers::cpu {
namespace {

constexpr std::int64_t kDepth = 1024;  // terms of a sum at a time
constexpr std::int64_t kWidth = 512;   // columns of the result at a time, about
constexpr std::int64_t kShares = 4;    // the panels divide evenly among this many threads

NKAT_VECTORISED void widen_row(const at::BFloat16* source, float* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) target[i] = widen(source[i]);
}

NKAT_VECTORISED void round_row(const float* source, at::BFloat16* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) round_to(source[i], target[i]);
}

// Rows [top, top + height) of columns [left, left + width) of W as float32 (height, width).
at::Tensor widened_panel(const at::Tensor& weight, std::int64_t top, std::int64_t height, std::int64_t left,
                         std::int64_t width, const at::Tensor& scratch) {
  const std::int64_t stride = weight.size(1);
  const at::BFloat16* source = weight.const_data_ptr<at::BFloat16>() + top * stride + left;
  float* target = scratch.mutable_data_ptr<float>();
  for (std::int64_t row = 0; row < height; ++row) widen_row(source + row * stride, target + row * width, width);
  return scratch.narrow(0, 0, height * width).view({height, width});
}

void round_columns(const at::Tensor& sums /* (T, width) */, const at::Tensor& result, std::int64_t first) {
  const std::int64_t width = sums.size(1), stride = result.size(1);
  for (std::int64_t row = 0; row < sums.size(0); ++row)
    round_row(sums.const_data_ptr<float>() + row * width,
              result.mutable_data_ptr<at::BFloat16>() + row * stride + first, width);
}

// The result's columns [first, first + width), in float32.
void multiply_columns(const at::Tensor& rows, const at::Tensor& weight, WidenedProduct which, std::int64_t first,
                      const at::Tensor& scratch, at::Tensor sums /* (T, width) */) {
  const std::int64_t depth = rows.size(1), width = sums.size(1);
  for (std::int64_t begin = 0; begin < depth; begin += kDepth) {
    const std::int64_t count = std::min(kDepth, depth - begin);
    const at::Tensor part = rows.narrow(1, begin, count);
    const at::Tensor panel = which == WidenedProduct::kForward
                                 ? widened_panel(weight, first, width, begin, count, scratch).t()
                                 : widened_panel(weight, begin, count, first, width, scratch);  // (count, width)
    if (begin == 0) {
      at::mm_out(sums, part, panel);
    } else {
      at::addmm_out(sums, sums, part, panel);
    }
  }
}

std::int64_t panel_width(std::int64_t columns) {
  const std::int64_t panels = (columns + kWidth * kShares - 1) / (kWidth * kShares) * kShares;
  const std::int64_t width = (columns + panels - 1) / panels;
  return (width + kLanes - 1) / kLanes * kLanes;
}

}  // namespace

bool bf16_products_are_slow() {
#if defined(__x86_64__)
  static const bool slow =
      !__builtin_cpu_supports("amx-bf16") && (!__builtin_cpu_supports("avx512bf16") || __builtin_cpu_is("intel"));
  return slow;
#else
  return false;
#endif
}

at::Tensor widened_product(const at::Tensor& rows, const at::Tensor& weight, WidenedProduct which,
                           at::ScalarType result_type) {
  const std::int64_t columns = weight.size(which == WidenedProduct::kForward ? 0 : 1), tokens = rows.size(0);
  const at::Tensor wide = rows.to(at::kFloat).contiguous();  // (T, depth)
  if (tokens == 0 || wide.size(1) == 0) return at::zeros({tokens, columns}, rows.options().dtype(result_type));
  at::Tensor result = at::empty({tokens, columns}, rows.options().dtype(result_type));
  const std::int64_t width = panel_width(columns);
  at::parallel_for(0, (columns + width - 1) / width, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    const at::Tensor scratch = at::empty({std::min(kDepth, wide.size(1)) * width}, wide.options());
    const at::Tensor tile = result_type == at::kFloat ? at::Tensor() : at::empty({tokens * width}, wide.options());
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t first = panel * width, count = std::min(width, columns - first);
      const at::Tensor sums =
          tile.defined() ? tile.narrow(0, 0, tokens * count).view({tokens, count}) : result.narrow(1, first, count);
      multiply_columns(wide, weight, which, first, scratch, sums);
      if (tile.defined()) round_columns(sums, result, first);
    }
  });
  return result;
}

}  // namespace nkat::layers::cpu
