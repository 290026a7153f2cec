// A model's weights with an adapter folded in: a source of weights that decorates another one.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/weights/weight_source.h"

namespace nkat::exporting {

// By the name of the tensor they change: M = I + σ(α) R of consecutive blocks, (rows/8, 8, 8) row-major.
using AdapterMatrices = std::map<std::string, std::vector<float>, std::less<>>;

class MergedWeights final : public models::WeightSource {
 public:
  MergedWeights(std::unique_ptr<const models::WeightSource> base, AdapterMatrices matrices);

  models::MatrixShape shape(const std::string& tensor) const override { return base_->shape(tensor); }
  // Of changed tensors a multiple of eight rows from a multiple of eight on.
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override { base_->release(tensor); }

  const models::WeightSource& base() const { return *base_; }
  const AdapterMatrices& matrices() const { return matrices_; }
  bool is_changed(const std::string& tensor) const { return matrices_.contains(tensor); }

 private:
  std::unique_ptr<const models::WeightSource> base_;
  AdapterMatrices matrices_;
};

// Rows of a piece of at most 16 MiB, a multiple of eight unless it is the whole tensor.
std::size_t rows_per_piece(models::MatrixShape shape);

}  // namespace nkat::exporting
