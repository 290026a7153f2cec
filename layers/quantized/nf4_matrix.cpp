#include "layers/quantized/nf4_matrix.h"

#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/nan_to_num.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "layers/check.h"
#include "layers/cpu/nf4.h"

namespace nkat::layers {
namespace {

at::Tensor levels(const at::TensorOptions& options) {
  return at::from_blob(const_cast<float*>(kNf4Levels.data()), {16}, at::kFloat).to(options.device());
}

// Decision boundaries between neighboring levels.
at::Tensor midpoints(const at::TensorOptions& options) {
  const at::Tensor all = levels(options);
  return (all.narrow(0, 0, 15) + all.narrow(0, 1, 15)) / 2;
}

// (n, K) -> (n, B, 32), the last block padded with zeros.
at::Tensor in_blocks(const at::Tensor& rows) {
  const std::int64_t over = rows.size(1) % kNf4Block;
  const at::Tensor whole = over == 0 ? rows : at::constant_pad_nd(rows, {0, kNf4Block - over});
  return whole.reshape({rows.size(0), -1, kNf4Block});
}

at::Tensor widen_rows(const at::Tensor& codes, const at::Tensor& scales) {
  const std::int64_t rows = codes.size(0), columns = 2 * codes.size(1);
  const at::Tensor pairs = at::stack({codes.bitwise_right_shift(4), codes.bitwise_and(15)}, -1);  // (n, K/2, 2)
  const at::Tensor values = levels(codes.options()).index_select(0, pairs.view(-1).to(at::kInt)).view({rows, columns});
  return in_blocks(values).mul(scales.to(at::kFloat).unsqueeze(-1)).view({rows, -1}).narrow(1, 0, columns);
}

}  // namespace

namespace plain {

void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows) {
  const at::Tensor blocks = in_blocks(rows.to(at::kFloat) * matrix.channel_scales.reciprocal());
  const at::Tensor largest = blocks.abs().amax(-1).to(at::kBFloat16);  // (n, B)
  const at::Tensor inverse = at::nan_to_num(1.0f / largest.to(at::kFloat), 0.0, 0.0, 0.0);
  const at::Tensor scaled = blocks.mul(inverse.unsqueeze(-1)).view({rows.size(0), -1}).narrow(1, 0, rows.size(1));
  const at::Tensor codes = at::bucketize(scaled.contiguous(), midpoints(rows.options()), /*out_int32=*/true)
                               .to(at::kByte)
                               .view({rows.size(0), -1, 2});
  matrix.codes.narrow(0, first_row, rows.size(0)).copy_(codes.select(2, 0) * 16 + codes.select(2, 1));
  matrix.scales.narrow(0, first_row, rows.size(0)).copy_(largest);
}

at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type) {
  at::Tensor out = at::empty({tile.count, tile.width}, matrix.channel_scales.options().dtype(type));
  const std::int64_t blocks = (tile.width + kNf4Block - 1) / kNf4Block;
  const at::Tensor codes = matrix.codes.narrow(0, tile.row, tile.count).narrow(1, tile.column / 2, tile.width / 2);
  const at::Tensor scales = matrix.scales.narrow(0, tile.row, tile.count).narrow(1, tile.column / kNf4Block, blocks);
  const at::Tensor factors = matrix.channel_scales.narrow(0, tile.column, tile.width);
  const std::int64_t step = std::max<std::int64_t>(1, kNf4LookUpsAtOnce / tile.width);
  for (std::int64_t row = 0; row < tile.count; row += step) {
    const std::int64_t count = std::min(step, tile.count - row);
    out.narrow(0, row, count)
        .copy_(widen_rows(codes.narrow(0, row, count), scales.narrow(0, row, count)).mul_(factors));
  }
  return out;
}

}  // namespace plain

Nf4Matrix empty_nf4_matrix(std::int64_t rows, std::int64_t columns, at::Device device) {
  if (rows <= 0 || columns <= 0 || columns % 2 != 0) {
    throw ShapeError("NF4 matrix: " + expected("an even number of columns", fmt::format("({}, {})", rows, columns),
                                               "keep this model's matrices in another format"));
  }
  const auto options = at::TensorOptions(device);
  return {.codes = at::empty({rows, columns / 2}, options.dtype(at::kByte)),
          .scales = at::empty({rows, (columns + kNf4Block - 1) / kNf4Block}, options.dtype(at::kBFloat16)),
          .channel_scales = at::ones({columns}, options.dtype(at::kFloat))};
}

void set_rows(Nf4Matrix& matrix, std::int64_t first_row, const at::Tensor& rows) {
  check_shape("set_rows", "rows", rows, {{"n"}, {"K", matrix.columns()}});
  if (rows.is_cpu()) {
    cpu::set_rows(matrix, first_row, rows.to(at::kFloat).contiguous());
  } else {
    plain::set_rows(matrix, first_row, rows);
  }
}

at::Tensor widen(const Nf4Matrix& matrix, const Nf4Tile& tile, at::ScalarType type) {
  const bool on_cpu = matrix.codes.is_cpu() && type == at::kFloat;
  return on_cpu ? cpu::widen(matrix, tile) : plain::widen(matrix, tile, type);
}

}  // namespace nkat::layers
