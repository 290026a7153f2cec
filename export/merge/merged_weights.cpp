#include "export/merge/merged_weights.h"

#include <algorithm>

#include "core/error.h"
#include "export/merge/merge.h"

namespace nkat::exporting {

MergedWeights::MergedWeights(std::unique_ptr<const models::WeightSource> base, AdapterMatrices matrices)
    : base_(std::move(base)), matrices_(std::move(matrices)) {
  for (const auto& [tensor, values] : matrices_)
    NKAT_INVARIANT(values.size() == base_->shape(tensor).rows * kBlockRows);
}

void MergedWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  base_->read(tensor, first_row, out);
  const auto found = matrices_.find(tensor);
  if (found == matrices_.end()) return;
  const std::size_t columns = shape(tensor).columns;
  NKAT_INVARIANT(first_row % kBlockRows == 0);
  const std::span<const float> matrices = found->second;
  merge_rows(matrices.subspan(first_row * kBlockRows, out.size() / columns * kBlockRows), columns, out);
}

std::size_t rows_per_piece(models::MatrixShape shape) {
  constexpr std::size_t kPieceElements = std::size_t{4} << 20;
  const std::size_t rows = std::max(kBlockRows, kPieceElements / shape.columns / kBlockRows * kBlockRows);
  return std::min(rows, shape.rows);
}

}  // namespace nkat::exporting
