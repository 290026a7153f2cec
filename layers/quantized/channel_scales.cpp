#include "layers/quantized/channel_scales.h"

#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "layers/check.h"

namespace nkat::layers {
namespace {

constexpr std::int64_t kRowsAtOnce = 64;  // whose float32 intermediates exist at once

}  // namespace

at::Tensor channel_scales(const at::Tensor& rows) {
  check_shape("channel_scales", "rows", rows, {{"n"}, {"K"}});
  at::Tensor shares = at::zeros({rows.size(1)}, rows.options().dtype(at::kFloat));
  for (const at::Tensor& piece : rows.split(kRowsAtOnce)) {
    const at::Tensor squares = piece.to(at::kFloat).square();
    const at::Tensor of_rows = squares.mean(1, true);
    shares.add_(at::where(of_rows == 0, squares, squares / of_rows).sum(0));
  }
  const at::Tensor root = (shares / static_cast<double>(rows.size(0))).sqrt();
  return at::where(shares == 0, at::ones_like(root), root);
}

}  // namespace nkat::layers
