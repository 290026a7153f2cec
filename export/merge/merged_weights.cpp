#include "export/merge/merged_weights.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "export/merge/merge.h"

namespace nkat::exporting {
namespace {

constexpr std::size_t kPieceElements = std::size_t{4} << 20;

}  // namespace

std::string down_projection(std::int64_t layer) { return fmt::format("model.layers.{}.mlp.down_proj.weight", layer); }

MergedWeights::MergedWeights(std::unique_ptr<const WeightSource> base, std::vector<std::vector<float>> blocks)
    : base_(std::move(base)), blocks_(std::move(blocks)) {
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    if (blocks_[layer].empty()) continue;
    const std::string name = down_projection(static_cast<std::int64_t>(layer));
    NKAT_INVARIANT(blocks_[layer].size() == base_->shape(name).rows * kBlockRows);
    blocks_of_[name] = blocks_[layer];
  }
}

void MergedWeights::read_merged(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  base_->read(tensor, first_row, out);
  const auto found = blocks_of_.find(tensor);
  if (found == blocks_of_.end()) return;
  const std::size_t row_length = shape(tensor).row_length;
  NKAT_INVARIANT(first_row % kBlockRows == 0);
  merge_rows(found->second.subspan(first_row * kBlockRows, out.size() / row_length * kBlockRows), row_length, out);
}

std::size_t MergedWeights::rows_of_piece(MatrixShape shape) {
  const std::size_t rows = std::max(kBlockRows, kPieceElements / shape.row_length / kBlockRows * kBlockRows);
  return std::min(rows, shape.rows);
}

}  // namespace nkat::exporting
