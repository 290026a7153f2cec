#include "layers/quantized/int8_rows.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/nan_to_num.h>

#include "core/error.h"
#include "layers/check.h"
#include "layers/cpu/gemm_tiles.h"

namespace nkat::layers {

namespace plain {
namespace {

// x (n, K); writes first and second (n, K), the second undefined with one pass, and scales (n).
void quantize_piece(const at::Tensor& x, const at::Tensor& channel_scales, const at::Tensor& first,
                    const at::Tensor& second, const at::Tensor& scales) {
  const at::Tensor wide = x.to(at::kFloat) * channel_scales;  // (n, K)
  const at::Tensor largest = wide.abs().amax(1);              // (n)
  const at::Tensor inverse = at::nan_to_num(127.0f / largest, 0.0, 0.0, 0.0);
  scales.copy_(largest / 127.0f);
  const at::Tensor scaled = at::nan_to_num(wide * inverse.unsqueeze(1), 0.0, 0.0, 0.0);
  const at::Tensor whole = scaled.round();
  first.copy_(whole);
  if (second.defined()) second.copy_(((scaled - whole) * 254.0f).round());
}

}  // namespace

void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows) {
  const std::int64_t count = x.size(0), step = std::max<std::int64_t>(1, kInt8EntriesAtOnce / x.size(1));
  for (std::int64_t row = 0; row < count; row += step) {
    const std::int64_t size = std::min(step, count - row);
    quantize_piece(x.narrow(0, row, size), channel_scales, rows.values.narrow(0, row, size),
                   rows.passes > 1 ? rows.values.narrow(0, count + row, size) : at::Tensor(),
                   rows.scales.narrow(0, row, size));
  }
}

void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out) {
  const std::int64_t count = out.size(0);
  at::Tensor total = sums.narrow(0, 0, count).to(at::kFloat);
  if (rows.passes > 1) total.add_(sums.narrow(0, count, count), 1.0 / 254.0);
  total.mul_(rows.scales.unsqueeze(1));
  total.mul_(channel_scales);
  out.copy_(total);
}

}  // namespace plain

Int8Rows quantize_rows(const at::Tensor& x, const at::Tensor& channel_scales, std::int64_t passes,
                       std::int64_t least_rows) {
  constexpr std::string_view kWho = "quantize_rows";
  check_shape(kWho, "x", x, {{"T"}, {"K"}});
  check_dtype(kWho, "x", x, {at::kFloat, at::kBFloat16});
  check_shape(kWho, "channel_scales", channel_scales, {{"K", x.size(1)}});
  check_dtype(kWho, "channel_scales", channel_scales, {at::kFloat});
  check_device(kWho, "channel_scales", channel_scales, x.device());
  NKAT_INVARIANT(passes == 1 || passes == 2);
  const std::int64_t used = passes * x.size(0);
  const std::int64_t padded = least_rows > 1 ? (std::max(used, least_rows) + 7) / 8 * 8 : used;
  Int8Rows rows{.values = at::empty({padded, x.size(1)}, x.options().dtype(at::kChar)),
                .scales = at::empty({x.size(0)}, x.options().dtype(at::kFloat)),
                .passes = passes};
  rows.values.narrow(0, used, padded - used).zero_();
  if (x.is_cpu()) {
    cpu::quantize_rows_into(x.contiguous(), channel_scales, rows);
  } else {
    plain::quantize_rows_into(x, channel_scales, rows);
  }
  return rows;
}

void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out) {
  constexpr std::string_view kWho = "dequantize_into";
  check_shape(kWho, "out", out, {{"T", rows.scales.size(0)}, {"C"}});
  check_shape(kWho, "sums", sums, {{"P", rows.values.size(0)}, {"C", out.size(1)}});
  check_dtype(kWho, "sums", sums, {at::kInt});
  check_dtype(kWho, "out", out, {at::kFloat, at::kBFloat16});
  check_shape(kWho, "channel_scales", channel_scales, {{"C", out.size(1)}});
  if (out.is_cpu() && out.stride(1) == 1) {
    cpu::dequantize_into(sums.contiguous(), rows, channel_scales, out);
  } else {
    plain::dequantize_into(sums, rows, channel_scales, out);
  }
}

}  // namespace nkat::layers
