#include "layers/quantized/int8_rows.h"

#include <bit>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

constexpr float kLevels = 127.0f, kFiner = 254.0f;
// Added to a float32 below 2^22 it leaves the nearest integer, ties to even, in the low bits.
constexpr float kRounder = 0x1.8p23f;
constexpr std::uint32_t kSignless = 0x7fffffffu, kInfinity = 0x7f800000u;

NKAT_INLINED std::int32_t nearest(float x) {
  return std::bit_cast<std::int32_t>(x + kRounder) - std::bit_cast<std::int32_t>(kRounder);
}

template <typename Scalar>
struct Row {
  const Scalar* x;
  const float* channel_scales;
  std::int64_t size;
};

// The largest magnitude by its bits, so that infinities and NaNs come out on top.
template <typename Scalar>
NKAT_INLINED float widen_row(const Row<Scalar>& row, float* wide) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < row.size; ++i) wide[i] = widen(row.x[i]) * row.channel_scales[i];
  for (std::int64_t i = 0; i < row.size; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(wide[i]) & kSignless;
    largest = largest > bits ? largest : bits;
  }
  return std::bit_cast<float>(largest);
}

NKAT_INLINED void round_row(const float* wide, std::int64_t size, float inverse, std::int8_t* first,
                            std::int8_t* second) {
  if (second == nullptr) {
    for (std::int64_t i = 0; i < size; ++i) first[i] = static_cast<std::int8_t>(nearest(wide[i] * inverse));
    return;
  }
  for (std::int64_t i = 0; i < size; ++i) {
    const float scaled = wide[i] * inverse;
    const std::int32_t whole = nearest(scaled);
    first[i] = static_cast<std::int8_t>(whole);
    second[i] = static_cast<std::int8_t>(nearest((scaled - static_cast<float>(whole)) * kFiner));
  }
}

// wide: room for one row; second: nullptr with one pass. Returns the scale.
template <typename Scalar>
NKAT_INLINED float quantize_row(const Row<Scalar>& row, float* wide, std::int8_t* first, std::int8_t* second) {
  const float largest = widen_row(row, wide);
  const float inverse = kLevels / largest;
  const bool usable =
      std::bit_cast<std::uint32_t>(largest) < kInfinity && std::bit_cast<std::uint32_t>(inverse) < kInfinity;
  if (usable) {
    round_row(wide, row.size, inverse, first, second);
  } else {
    std::fill_n(first, row.size, std::int8_t{0});
    if (second != nullptr) std::fill_n(second, row.size, std::int8_t{0});
  }
  return largest / kLevels;
}

NKAT_VECTORIZED float quantize_one(const Row<float>& row, float* wide, std::int8_t* first, std::int8_t* second) {
  return quantize_row(row, wide, first, second);
}
NKAT_VECTORIZED float quantize_one(const Row<at::BFloat16>& row, float* wide, std::int8_t* first, std::int8_t* second) {
  return quantize_row(row, wide, first, second);
}

struct Sums {
  const std::int32_t* first;
  const std::int32_t* second;  // nullptr: one pass
  const float* channel_scales;
  float row_scale;
  std::int64_t size;
};

template <typename Scalar>
NKAT_INLINED void scale_row(const Sums& sums, Scalar* out) {
  constexpr float kFinerStep = 1.0f / kFiner;
  for (std::int64_t i = 0; i < sums.size; ++i) {
    float total = static_cast<float>(sums.first[i]);
    if (sums.second != nullptr) total += kFinerStep * static_cast<float>(sums.second[i]);
    total *= sums.row_scale;
    round_to(total * sums.channel_scales[i], out[i]);
  }
}

NKAT_VECTORIZED void scale_one(const Sums& sums, float* out) { scale_row(sums, out); }
NKAT_VECTORIZED void scale_one(const Sums& sums, at::BFloat16* out) { scale_row(sums, out); }

template <typename Scalar>
void quantize_all(const Scalar* x, const at::Tensor& channel_scales, std::int64_t columns, Int8Rows& rows) {
  const std::int64_t count = rows.scales.size(0);
  const float* const factors = channel_scales.const_data_ptr<float>();
  auto* const values = rows.values.mutable_data_ptr<std::int8_t>();
  auto* const scales = rows.scales.mutable_data_ptr<float>();
  at::parallel_for(0, count, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> wide(static_cast<std::size_t>(columns));
    for (std::int64_t t = begin; t < end; ++t) {
      std::int8_t* const first = values + t * columns;
      std::int8_t* const second = rows.passes > 1 ? first + count * columns : nullptr;
      scales[t] = quantize_one(Row<Scalar>{x + t * columns, factors, columns}, wide.data(), first, second);
    }
  });
}

template <typename Scalar>
void scale_all(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales,
               std::pair<Scalar*, std::int64_t> out) {
  const std::int64_t count = rows.scales.size(0), columns = sums.size(1);
  const auto* const all = sums.const_data_ptr<std::int32_t>();
  const auto* const scales = rows.scales.const_data_ptr<float>();
  const float* const factors = channel_scales.const_data_ptr<float>();
  at::parallel_for(0, count, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int32_t* const first = all + t * columns;
      const std::int32_t* const second = rows.passes > 1 ? first + count * columns : nullptr;
      scale_one(Sums{first, second, factors, scales[t], columns}, out.first + t * out.second);
    }
  });
}

}  // namespace

void quantize_rows_into(const at::Tensor& x, const at::Tensor& channel_scales, Int8Rows& rows) {
  const at::Tensor factors = channel_scales.contiguous();
  if (x.scalar_type() == at::kFloat) {
    quantize_all(x.const_data_ptr<float>(), factors, x.size(1), rows);
  } else {
    quantize_all(x.const_data_ptr<at::BFloat16>(), factors, x.size(1), rows);
  }
}

void dequantize_into(const at::Tensor& sums, const Int8Rows& rows, const at::Tensor& channel_scales, at::Tensor& out) {
  const at::Tensor factors = channel_scales.contiguous();
  if (out.scalar_type() == at::kFloat) {
    scale_all(sums, rows, factors, std::pair{out.mutable_data_ptr<float>(), out.stride(0)});
  } else {
    scale_all(sums, rows, factors, std::pair{out.mutable_data_ptr<at::BFloat16>(), out.stride(0)});
  }
}

}  // namespace nkat::layers::cpu
