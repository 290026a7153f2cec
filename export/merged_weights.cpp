#include "export/merged_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "export/merge.h"
#include "export/quantize/quantize.h"
#include "models/checkpoint_check.h"

namespace nkat::exporting {
namespace {

constexpr std::size_t kPieceElements = std::size_t{4} << 20;
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

std::string down_projection(std::int64_t layer) { return fmt::format("model.layers.{}.mlp.down_proj.weight", layer); }

MergedWeights::MergedWeights(const fs::path& model_folder, const models::Phi3Config& config,
                             std::vector<std::vector<float>> blocks)
    : folder_(model_folder), blocks_(std::move(blocks)) {
  models::check_checkpoint(folder_, config, model_folder.string());
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    if (blocks_[layer].empty()) continue;
    NKAT_INVARIANT(blocks_[layer].size() == static_cast<std::size_t>(config.hidden_size) * kBlockRows);
    blocks_of_[down_projection(static_cast<std::int64_t>(layer))] = blocks_[layer];
  }
}

MatrixShape MergedWeights::shape(const std::string& tensor) const { return matrix_shape(*folder_.find(tensor)->info); }

void MergedWeights::read_base(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const auto [file, info] = *folder_.find(tensor);
  const std::size_t size = data::dtype_size(info->dtype);
  const std::size_t begin = first_row * matrix_shape(*info).row_length;
  const std::span<const std::byte> bytes = file->bytes(*info).subspan(begin * size, out.size() * size);
  parallel_for((out.size() + kSliceElements - 1) / kSliceElements, [&, dtype = info->dtype](std::size_t slice) {
    const std::size_t at = slice * kSliceElements, count = std::min(kSliceElements, out.size() - at);
    gguf::decode_rows(ggml_type(dtype), bytes.subspan(at * size, count * size), out.subspan(at, count));
  });
}

void MergedWeights::read_merged(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  read_base(tensor, first_row, out);
  const auto found = blocks_of_.find(tensor);
  if (found == blocks_of_.end()) return;
  const std::size_t row_length = shape(tensor).row_length;
  NKAT_INVARIANT(first_row % kBlockRows == 0);
  merge_rows(found->second.subspan(first_row * kBlockRows, out.size() / row_length * kBlockRows), row_length, out);
}

void MergedWeights::release(const std::string& tensor) const {
  const auto [file, info] = *folder_.find(tensor);
  file->release(*info);
}

std::size_t MergedWeights::rows_of_piece(MatrixShape shape) {
  const std::size_t rows = std::max(kBlockRows, kPieceElements / shape.row_length / kBlockRows * kBlockRows);
  return std::min(rows, shape.rows);
}

}  // namespace nkat::exporting
