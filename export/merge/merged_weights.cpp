#include "export/merge/merged_weights.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/parallel.h"

namespace nkat::exporting {
namespace {

// A vector, which is one row of a file, as the column that M acts on.
models::MatrixShape changed_shape(models::MatrixShape shape) {
  return shape.rows == 1 ? models::MatrixShape{.rows = shape.columns, .columns = 1} : shape;
}

constexpr std::size_t kBlockSize = kBlockRows * kBlockRows;
constexpr std::size_t kColumns = 64;  // a strip of eight rows and their sums stays in the first-level cache

// Columns [begin, end) of eight rows.
void merge_strip(const float* matrix, std::size_t row_length, std::size_t begin, std::size_t end, float* rows) {
  std::array<std::array<double, kColumns>, kBlockRows> sums{};
  const std::size_t width = end - begin;
  for (std::size_t j = 0; j < kBlockRows; ++j) {
    const float* source = rows + j * row_length + begin;
    for (std::size_t i = 0; i < kBlockRows; ++i) {
      const double factor = matrix[i * kBlockRows + j];
      for (std::size_t c = 0; c < width; ++c) sums[i][c] += factor * static_cast<double>(source[c]);
    }
  }
  for (std::size_t i = 0; i < kBlockRows; ++i) {
    float* target = rows + i * row_length + begin;
    for (std::size_t c = 0; c < width; ++c) target[c] = static_cast<float>(sums[i][c]);
  }
}

}  // namespace

MergedWeights::MergedWeights(std::unique_ptr<const models::WeightSource> base, AdapterMatrices matrices)
    : base_(std::move(base)), matrices_(std::move(matrices)) {
  for (const auto& [tensor, values] : matrices_)
    NKAT_INVARIANT(values.size() == changed_shape(base_->shape(tensor)).rows * kBlockRows);
}

void MergedWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  base_->read(tensor, first_row, out);
  const auto found = matrices_.find(tensor);
  if (found == matrices_.end()) return;
  const std::size_t columns = changed_shape(shape(tensor)).columns;
  NKAT_INVARIANT(first_row % kBlockRows == 0);
  const std::span<const float> matrices = found->second;
  merge_rows(matrices.subspan(first_row * kBlockRows, out.size() / columns * kBlockRows), columns, out);
}

std::size_t rows_per_piece(models::MatrixShape shape) {
  constexpr std::size_t kPieceElements = std::size_t{4} << 20;
  const std::size_t rows = std::max(kBlockRows, kPieceElements / shape.columns / kBlockRows * kBlockRows);
  return std::min(rows, shape.rows);
}

void merge_rows(std::span<const float> blocks, std::size_t row_length, std::span<float> rows) {
  NKAT_INVARIANT(blocks.size() % kBlockSize == 0);
  NKAT_INVARIANT(rows.size() == blocks.size() / kBlockRows * row_length);
  parallel_for(blocks.size() / kBlockSize, [&](std::size_t block) {
    for (std::size_t begin = 0; begin < row_length; begin += kColumns) {
      merge_strip(blocks.data() + block * kBlockSize, row_length, begin, std::min(begin + kColumns, row_length),
                  rows.data() + block * kBlockRows * row_length);
    }
  });
}

}  // namespace nkat::exporting
