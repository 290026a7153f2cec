#include "export/gguf/gguf_order.h"

#include <vector>

namespace nkat::exporting {

GgufOrderedWeights::GgufOrderedWeights(const models::WeightSource& weights, const models::ModelConfig& config)
    : weights_(weights) {
  for (models::TensorSpec& spec : models::model_tensors(config)) {
    if (spec.gguf_paired_heads > 0) paired_.emplace(spec.name, std::move(spec));
  }
}

void GgufOrderedWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const auto found = paired_.find(tensor);
  if (found == paired_.end()) return weights_.read(tensor, first_row, out);
  const models::TensorSpec& spec = found->second;
  if (spec.shape.size() == 1) {
    std::vector<float> values(out.size());
    weights_.read(tensor, 0, values);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[spec.checkpoint_row(i)];
    return;
  }
  const std::size_t columns = spec.matrix().columns;
  for (std::size_t row = 0; row * columns < out.size(); ++row) {
    weights_.read(tensor, spec.checkpoint_row(first_row + row), out.subspan(row * columns, columns));
  }
}

}  // namespace nkat::exporting
