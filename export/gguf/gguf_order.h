// A source of weights in the row order of a GGUF file: where llama.cpp rotates neighboring channels, the halves of each
// query and key head alternate (TensorSpec::gguf_row). Other tensors pass through.
#pragma once

#include <map>
#include <string>

#include "models/weights/weight_source.h"

namespace nkat::exporting {

class GgufOrderedWeights final : public models::WeightSource {
 public:
  // `weights` must outlive this.
  GgufOrderedWeights(const models::WeightSource& weights, const models::ModelConfig& config);

  models::MatrixShape shape(const std::string& tensor) const override { return weights_.shape(tensor); }
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override { weights_.release(tensor); }

 private:
  const models::WeightSource& weights_;
  std::map<std::string, models::TensorSpec> paired_;
};

}  // namespace nkat::exporting
