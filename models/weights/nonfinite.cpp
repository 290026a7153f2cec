#include "models/weights/nonfinite.h"

#include <ATen/Parallel.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>

#include "core/error.h"
#include "core/float_bits.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kGrain = 1 << 20;

template <typename Word>
std::int64_t count_words(const at::Tensor& tensor, Word exponent) {
  const auto* words = static_cast<const Word*>(tensor.const_data_ptr());
  const auto count = [&](std::int64_t first, std::int64_t last, std::int64_t before) {
    std::int64_t found = 0;
    for (std::int64_t i = first; i < last; ++i) found += is_finite(words[i], exponent) ? 0 : 1;
    return before + found;
  };
  return at::parallel_reduce(0, tensor.numel(), kGrain, std::int64_t{0}, count, std::plus<>());
}

}  // namespace

std::int64_t count_nonfinite(const at::Tensor& tensor) {
  NKAT_INVARIANT(tensor.is_contiguous());
  if (tensor.is_cpu()) {
    switch (tensor.scalar_type()) {
      case at::kBFloat16: return count_words(tensor, kBfloat16Exponent);
      case at::kHalf: return count_words(tensor, kFloat16Exponent);
      case at::kFloat: return count_words(tensor, kFloat32Exponent);
      case at::kDouble: return count_words(tensor, kFloat64Exponent);
      default: break;
    }
  }
  const at::ScalarType wide = tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (std::isfinite(tensor.sum(wide).item<double>())) return 0;
  return tensor.numel() - at::isfinite(tensor).sum().item<std::int64_t>();
}

}  // namespace nkat::models
