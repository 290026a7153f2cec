#include "models/weights/tensor_io.h"

#include <cstring>

#include "core/error.h"

namespace nkat::models {

at::Tensor float32_tensor(const data::SafetensorsFile& file, const data::TensorInfo& info, at::IntArrayRef shape,
                          const fs::path& path) {
  if (info.dtype != data::DType::kF32 || at::IntArrayRef(info.shape) != shape) {
    throw ShapeError(fmt::format("{}: the tensor '{}' must be F32 ({}), found {} ({})", path.string(), info.name,
                                 fmt::join(shape, ", "), data::dtype_name(info.dtype), fmt::join(info.shape, ", ")));
  }
  at::Tensor tensor = at::empty(shape, at::kFloat);
  const auto bytes = file.bytes(info);
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
