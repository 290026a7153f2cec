#include "models/finite_values.h"

#include <ATen/Parallel.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>

#include "core/error.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kGrain = 1 << 20;

// NaN and infinity are the values whose exponent is all ones.
template <typename Bits>
std::int64_t count_full_exponents(const at::Tensor& tensor, Bits exponent) {
  const auto* bits = static_cast<const Bits*>(tensor.const_data_ptr());
  const auto count = [&](std::int64_t first, std::int64_t last, std::int64_t before) {
    std::int64_t found = 0;
    for (std::int64_t i = first; i < last; ++i) found += (bits[i] & exponent) == exponent ? 1 : 0;
    return before + found;
  };
  return at::parallel_reduce(0, tensor.numel(), kGrain, std::int64_t{0}, count, std::plus<>());
}

}  // namespace

std::int64_t count_not_finite(const at::Tensor& tensor) {
  NKAT_INVARIANT(tensor.is_contiguous());
  if (tensor.is_cpu()) {
    switch (tensor.scalar_type()) {
      case at::kBFloat16: return count_full_exponents<std::uint16_t>(tensor, 0x7f80);
      case at::kHalf: return count_full_exponents<std::uint16_t>(tensor, 0x7c00);
      case at::kFloat: return count_full_exponents<std::uint32_t>(tensor, 0x7f800000);
      default: break;
    }
  }
  const at::ScalarType wide = tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (std::isfinite(tensor.sum(wide).item<double>())) return 0;
  return tensor.numel() - at::isfinite(tensor).sum().item<std::int64_t>();
}

}  // namespace nkat::models
