#include "models/weights/tensor_io.h"

#include <cmath>
#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>

#include "core/error.h"
#include "core/float_bits.h"
#include "core/message.h"

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

at::Tensor read_float32(const data::SafetensorsFile& file, const std::string& name, at::IntArrayRef shape) {
  const data::TensorInfo* info = file.find(name);
  if (info == nullptr) throw FormatError(fmt::format("{}: the tensor '{}' is missing", file.path().string(), name));
  if (info->dtype != data::DType::kF32 || at::IntArrayRef(info->shape) != shape) {
    throw ShapeError(
        fmt::format("{}: tensor '{}': {}", file.path().string(), name,
                    expected(fmt::format("F32 ({})", fmt::join(shape, ", ")),
                             fmt::format("{} ({})", data::dtype_name(info->dtype), fmt::join(info->shape, ", ")))));
  }
  at::Tensor tensor = at::empty(shape, at::kFloat);
  const auto bytes = file.bytes(*info);
  NKAT_INVARIANT(bytes.size() == tensor.nbytes());
  if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

data::TensorToWrite float32_to_write(const std::string& name, const at::Tensor& tensor) {
  NKAT_INVARIANT(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat && tensor.is_cpu());
  return {name,
          data::DType::kF32,
          tensor.sizes().vec(),
          {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()}};
}

}  // namespace nkat::models
