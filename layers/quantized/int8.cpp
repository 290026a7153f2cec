#include "layers/quantized/int8.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "core/message.h"
#include "layers/check.h"
#include "layers/cpu/gemm_tiles.h"
#include "layers/quantized/int8_gemm.h"
#include "layers/quantized/int8_rows.h"

namespace nkat::layers {
namespace {

constexpr std::int64_t kLeastRowsOnGpu = 24;  // CUDA's product refuses 16 and fewer
constexpr std::int64_t kLargestSide = 131072;

// (D, C) column-major: a view if it is already, else a copy.
at::Tensor column_major(const at::Tensor& right) { return right.t().contiguous().t(); }

// right (D, C) int8 -> (T, C), tile by tile of C.
at::Tensor product(const Int8Rows& left, const at::Tensor& right, const at::Tensor& channel_scales,
                   at::ScalarType type) {
  const std::int64_t columns = right.size(1), tile = right.is_cpu() ? kInt8TileOnCpu : kInt8TileOnGpu;
  at::Tensor out = at::empty({left.scales.size(0), columns}, right.options().dtype(type));
  for (std::int64_t first = 0; first < columns; first += tile) {
    const std::int64_t count = std::min(tile, columns - first);
    const at::Tensor sums = int8_gemm(left.values, column_major(right.narrow(1, first, count)));
    at::Tensor piece = out.narrow(1, first, count);
    dequantize_into(sums, left, channel_scales.narrow(0, first, count), piece);
  }
  return out;
}

std::int64_t least_rows(const at::Tensor& x) { return x.is_cpu() ? 1 : kLeastRowsOnGpu; }

at::Tensor forward_pass(const at::Tensor& x, const Int8Matrix& matrix) {
  const Int8Rows rows = quantize_rows(x, matrix.channel_scales, matrix.passes.input, least_rows(x));
  return product(rows, matrix.values.t(), matrix.scales, x.scalar_type());
}

class Int8Linear : public torch::autograd::Function<Int8Linear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const Int8Matrix& matrix) {
    context->save_for_backward({matrix.values, matrix.scales, matrix.channel_scales});
    context->saved_data["input"] = matrix.passes.input;
    context->saved_data["gradient"] = matrix.passes.gradient;
    return forward_pass(x, matrix);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const Int8Matrix matrix{
        .values = saved[0],
        .scales = saved[1],
        .channel_scales = saved[2],
        .passes = {.input = context->saved_data["input"].toInt(), .gradient = context->saved_data["gradient"].toInt()}};
    return {int8_linear_backward(gradients[0], matrix), at::Tensor()};
  }
};

}  // namespace

Int8Matrix empty_int8_matrix(std::int64_t rows, std::int64_t columns, at::Device device, Int8Passes passes) {
  for (const std::int64_t size : {rows, columns}) {
    if (size <= 0 || size % 8 != 0 || size > kLargestSide) {
      throw ShapeError("int8 matrix: " + expected(fmt::format("sides that are multiples of 8 up to {}", kLargestSide),
                                                  fmt::format("({}, {})", rows, columns),
                                                  "keep this model's matrices in another format"));
    }
  }
  const auto options = at::TensorOptions(device);
  return {.values = at::empty({rows, columns}, options.dtype(at::kChar)),
          .scales = at::empty({rows}, options.dtype(at::kFloat)),
          .channel_scales = at::ones({columns}, options.dtype(at::kFloat)),
          .passes = passes};
}

void set_rows(Int8Matrix& matrix, std::int64_t first_row, const at::Tensor& rows) {
  check_shape("set_rows", "rows", rows, {{"n"}, {"K", matrix.values.size(1)}});
  const bool taken = rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kBFloat16;
  const Int8Rows rounded = quantize_rows(taken ? rows : rows.to(at::kFloat), matrix.channel_scales.reciprocal(), 1);
  matrix.values.narrow(0, first_row, rows.size(0)).copy_(rounded.values);
  matrix.scales.narrow(0, first_row, rows.size(0)).copy_(rounded.scales);
}

at::Tensor int8_linear(const at::Tensor& x, const Int8Matrix& matrix) {
  constexpr std::string_view kWho = "int8_linear";
  check_shape(kWho, "x", x, {{"T"}, {"K", matrix.values.size(1)}});
  check_dtype(kWho, "x", x, {at::kFloat, at::kBFloat16});
  check_device(kWho, "x", x, matrix.values.device());
  return Int8Linear::apply(x, matrix);
}

at::Tensor int8_linear_backward(const at::Tensor& dy, const Int8Matrix& matrix) {
  check_shape("int8_linear_backward", "dy", dy, {{"T"}, {"N", matrix.values.size(0)}});
  check_device("int8_linear_backward", "dy", dy, matrix.values.device());
  const Int8Rows rows = quantize_rows(dy, matrix.scales, matrix.passes.gradient, least_rows(dy));
  return product(rows, matrix.values, matrix.channel_scales, dy.scalar_type());
}

}  // namespace nkat::layers
