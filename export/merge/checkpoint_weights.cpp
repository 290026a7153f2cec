#include "export/merge/checkpoint_weights.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "data/quantize/quantize.h"
#include "models/weights/checkpoint_tensors.h"

namespace nkat::exporting {
namespace {

constexpr std::size_t kSliceElements = std::size_t{64} << 10;  // decoded by one thread at a time

gguf::GgmlType ggml_type(data::DType type) {
  switch (type) {
    case data::DType::kF32: return gguf::GgmlType::kF32;
    case data::DType::kF16: return gguf::GgmlType::kF16;
    case data::DType::kBF16: return gguf::GgmlType::kBF16;
    default: NKAT_INVARIANT(false);  // check_checkpoint lets no other type pass
  }
}

MatrixShape matrix_shape(const data::TensorInfo& info) {
  NKAT_INVARIANT(info.shape.size() == 1 || info.shape.size() == 2);
  return {.rows = info.shape.size() == 1 ? 1 : static_cast<std::size_t>(info.shape.front()),
          .row_length = static_cast<std::size_t>(info.shape.back())};
}

}  // namespace

CheckpointWeights::CheckpointWeights(const fs::path& model_folder, const models::Phi3Config& config)
    : folder_(model_folder) {
  models::check_checkpoint(folder_, config, model_folder.string());
}

MatrixShape CheckpointWeights::shape(const std::string& tensor) const {
  return matrix_shape(*folder_.find(tensor)->info);
}

void CheckpointWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const auto [file, info] = *folder_.find(tensor);
  const std::size_t size = data::dtype_size(info->dtype);
  const std::size_t begin = first_row * matrix_shape(*info).row_length;
  const std::span<const std::byte> bytes = file->bytes(*info).subspan(begin * size, out.size() * size);
  parallel_for((out.size() + kSliceElements - 1) / kSliceElements, [&, dtype = info->dtype](std::size_t slice) {
    const std::size_t at = slice * kSliceElements, count = std::min(kSliceElements, out.size() - at);
    gguf::decode_rows(ggml_type(dtype), bytes.subspan(at * size, count * size), out.subspan(at, count));
  });
}

void CheckpointWeights::release(const std::string& tensor) const {
  const auto [file, info] = *folder_.find(tensor);
  file->release(*info);
}

}  // namespace nkat::exporting
