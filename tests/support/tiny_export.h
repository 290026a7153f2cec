// A small random model with an adapter on both layers, as the exporter sees it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <ATen/ops/matrix_exp.h>

#include "export/merge/merged_weights.h"
#include "tests/support/memory_weights.h"
#include "tests/support/tiny_model.h"

namespace nkat::testing {

// M = I + 0.3 R for random orthogonal R, by layer: (H/8, 8, 8).
inline std::vector<at::Tensor> tiny_blocks(const models::ModelConfig& config) {
  std::vector<at::Tensor> blocks;
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const at::Tensor random = at::randn({config.hidden_size / 8, 8, 8});
    blocks.push_back(at::eye(8) + 0.3 * at::matrix_exp(random - random.mT()));
  }
  return blocks;
}

// The checkpoint's tensor that the adapter of this layer changes.
inline std::string down_projection(std::size_t layer) {
  return models::model_tensor({}, models::TensorRole::kDown, static_cast<std::int64_t>(layer)).name;
}

inline exporting::MergedWeights tiny_merged(const std::map<std::string, at::Tensor>& tensors,
                                            const std::vector<at::Tensor>& blocks) {
  exporting::AdapterMatrices values;
  for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
    const at::Tensor whole = blocks[layer].contiguous();
    const float* begin = whole.const_data_ptr<float>();
    values[down_projection(layer)] = {begin, begin + whole.numel()};
  }
  return {std::make_unique<MemoryWeights>(tensors), std::move(values)};
}

// The same by PyTorch, in float64 and rounded once.
inline std::map<std::string, at::Tensor> merged_tensors(std::map<std::string, at::Tensor> tensors,
                                                        const std::vector<at::Tensor>& blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    at::Tensor& down = tensors.at(down_projection(i));
    const at::Tensor rows = down.to(at::kDouble).view({-1, 8, down.size(1)});
    down = at::matmul(blocks[i].to(at::kDouble), rows).view(down.sizes()).to(at::kFloat);
  }
  return tensors;
}

}  // namespace nkat::testing
