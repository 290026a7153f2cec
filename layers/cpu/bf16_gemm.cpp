#include "layers/cpu/bf16_gemm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "layers/cpu/convert_rows.h"
#include "layers/cpu/gemm_tiles.h"

namespace nkat::layers::cpu {
namespace {

// Rows [top, top + height) of columns [left, left + width) of W as float32 (height, width).
at::Tensor widened_panel(const at::Tensor& weight, std::int64_t top, std::int64_t height, std::int64_t left,
                         std::int64_t width, const at::Tensor& scratch) {
  const StridedRows<const at::BFloat16> columns{weight.const_data_ptr<at::BFloat16>() + left, weight.size(1)};
  widen_rows(columns.from_row(top), height, width, scratch.mutable_data_ptr<float>());
  return scratch.narrow(0, 0, height * width).view({height, width});
}

// The result's columns [first, first + width), in float32.
void multiply_columns(const at::Tensor& rows, const at::Tensor& weight, Bf16Gemm which, std::int64_t first,
                      const at::Tensor& scratch, at::Tensor sums /* (T, width) */) {
  const std::int64_t depth = rows.size(1), width = sums.size(1);
  for (std::int64_t begin = 0; begin < depth; begin += kWidenedDepth) {
    const std::int64_t count = std::min(kWidenedDepth, depth - begin);
    const at::Tensor part = rows.narrow(1, begin, count);
    const at::Tensor panel = which == Bf16Gemm::kForward
                                 ? widened_panel(weight, first, width, begin, count, scratch).t()
                                 : widened_panel(weight, begin, count, first, width, scratch);  // (count, width)
    if (begin == 0) {
      at::mm_out(sums, part, panel);
    } else {
      at::addmm_out(sums, sums, part, panel);
    }
  }
}

}  // namespace

bool prefer_fp32_gemm() {
#if defined(__x86_64__)
  static const bool slow =
      !__builtin_cpu_supports("amx-bf16") && (!__builtin_cpu_supports("avx512bf16") || __builtin_cpu_is("intel"));
  return slow;
#else
  return false;
#endif
}

at::Tensor bf16_gemm(const at::Tensor& rows, const at::Tensor& weight, Bf16Gemm which, at::ScalarType result_type) {
  const std::int64_t columns = weight.size(which == Bf16Gemm::kForward ? 0 : 1), tokens = rows.size(0);
  const at::Tensor wide = rows.to(at::kFloat).contiguous();  // (T, depth)
  if (tokens == 0 || wide.size(1) == 0) return at::zeros({tokens, columns}, rows.options().dtype(result_type));
  at::Tensor result = at::empty({tokens, columns}, rows.options().dtype(result_type));
  const std::int64_t width = widened_panel_width(columns);
  at::parallel_for(0, (columns + width - 1) / width, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    const at::Tensor scratch = at::empty({std::min(kWidenedDepth, wide.size(1)) * width}, wide.options());
    const at::Tensor tile = result_type == at::kFloat ? at::Tensor() : at::empty({tokens * width}, wide.options());
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t first = panel * width, count = std::min(width, columns - first);
      const at::Tensor sums =
          tile.defined() ? tile.narrow(0, 0, tokens * count).view({tokens, count}) : result.narrow(1, first, count);
      multiply_columns(wide, weight, which, first, scratch, sums);
      if (tile.defined())
        round_rows(sums.const_data_ptr<float>(), tokens, count,
                   StridedRows<at::BFloat16>{result.mutable_data_ptr<at::BFloat16>() + first, columns});
    }
  });
  return result;
}

}  // namespace nkat::layers::cpu
