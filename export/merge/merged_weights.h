// A model's weights with an adapter folded in: a source of weights that decorates another one.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/weights/weight_source.h"

namespace nkat::exporting {

// By the name of the tensor they change, matrix or bias: M = I + σ(α) R of consecutive blocks, (rows/8, 8, 8) row-major.
using AdapterMatrices = std::map<std::string, std::vector<float>, std::less<>>;

class MergedWeights final : public models::WeightSource {
 public:
  MergedWeights(std::unique_ptr<const models::WeightSource> base, AdapterMatrices matrices);

  models::MatrixShape shape(const std::string& tensor) const override { return base_->shape(tensor); }
  // Of changed matrices a multiple of eight rows from a multiple of eight on. A changed vector is a matrix of one column
  // here: M(W x + b) = (M W) x + M b.
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

// The adapter folded into the weights: W' = (I + σ(α) R) W, eight rows of W_down at a time (layers/MATHEMATICS.md 2).
//
// Promise: every element is the sum of eight products of float32 numbers, added in float64 in the order of the columns
// of M and rounded once to float32, so |error| <= 2^-24 |W'| + 2^-149, whatever the threads. Nothing is allocated.

inline constexpr std::size_t kBlockRows = 8;

// blocks (N, 8, 8): M of consecutive blocks. rows (8 N, row_length), row-major: W on entry, W' on return.
void merge_rows(std::span<const float> blocks, std::size_t row_length, std::span<float> rows);

}  // namespace nkat::exporting
