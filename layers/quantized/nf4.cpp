#include "layers/quantized/nf4.h"

#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/check.h"

namespace nkat::layers {
namespace {

std::int64_t tile_extent(std::int64_t other_side, at::Device device, std::int64_t grain) {
  const std::int64_t entries = device.is_cpu() ? kNf4TileOnCpu : kNf4TileOnGpu;
  return std::max(grain, entries / other_side / grain * grain);
}

at::ScalarType product_type(const at::Tensor& x) { return x.is_cpu() ? at::kFloat : x.scalar_type(); }

at::Tensor forward_pass(const at::Tensor& x, const Nf4Matrix& matrix) {
  const std::int64_t rows = matrix.codes.size(0), columns = matrix.columns();
  const at::Tensor wide = x.to(product_type(x));
  at::Tensor y = at::empty({x.size(0), rows}, x.options());
  const std::int64_t step = tile_extent(columns, x.device(), 1);
  for (std::int64_t row = 0; row < rows; row += step) {
    const Nf4Tile tile{.row = row, .count = std::min(step, rows - row), .column = 0, .width = columns};
    y.narrow(1, row, tile.count).copy_(at::linear(wide, widen(matrix, tile, wide.scalar_type())));
  }
  return y;
}

class Nf4Linear : public torch::autograd::Function<Nf4Linear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const Nf4Matrix& matrix) {
    context->save_for_backward({matrix.codes, matrix.scales, matrix.channel_scales});
    return forward_pass(x, matrix);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    return {nf4_linear_backward(gradients[0], {.codes = saved[0], .scales = saved[1], .channel_scales = saved[2]}),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor nf4_linear(const at::Tensor& x, const Nf4Matrix& matrix) {
  constexpr std::string_view kWho = "nf4_linear";
  check_shape(kWho, "x", x, {{"T"}, {"K", matrix.columns()}});
  check_dtype(kWho, "x", x, {at::kFloat, at::kBFloat16});
  check_device(kWho, "x", x, matrix.codes.device());
  return Nf4Linear::apply(x, matrix);
}

at::Tensor nf4_linear_backward(const at::Tensor& dy, const Nf4Matrix& matrix) {
  check_shape("nf4_linear_backward", "dy", dy, {{"T"}, {"N", matrix.codes.size(0)}});
  check_device("nf4_linear_backward", "dy", dy, matrix.codes.device());
  const std::int64_t rows = matrix.codes.size(0), columns = matrix.columns();
  const at::Tensor wide = dy.to(product_type(dy));
  at::Tensor dx = at::empty({dy.size(0), columns}, dy.options());
  const std::int64_t step = tile_extent(rows, dy.device(), kNf4Block);
  for (std::int64_t column = 0; column < columns; column += step) {
    const Nf4Tile tile{.row = 0, .count = rows, .column = column, .width = std::min(step, columns - column)};
    dx.narrow(1, column, tile.width).copy_(at::mm(wide, widen(matrix, tile, wide.scalar_type())));
  }
  return dx;
}

}  // namespace nkat::layers
