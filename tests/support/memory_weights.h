// Tensors in memory as a source of weights.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>

#include "models/weights/weight_source.h"

namespace nkat::testing {

class MemoryWeights final : public models::WeightSource {
 public:
  explicit MemoryWeights(std::map<std::string, at::Tensor> tensors) : tensors_(std::move(tensors)) {}

  models::MatrixShape shape(const std::string& tensor) const override {
    const at::Tensor& found = tensors_.at(tensor);
    return {.rows = found.dim() == 1 ? 1 : static_cast<std::size_t>(found.size(0)),
            .columns = static_cast<std::size_t>(found.size(-1))};
  }
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override {
    const float* values = tensors_.at(tensor).const_data_ptr<float>();
    std::copy_n(values + first_row * shape(tensor).columns, out.size(), out.begin());
  }
  void release(const std::string&) const override {}

 private:
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace nkat::testing
