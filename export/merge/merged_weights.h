// A model's weights as float32, a few rows at a time, as they are stored or with an adapter folded in.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "export/merge/weight_source.h"

namespace nkat::exporting {

class MergedWeights {
 public:
  // blocks: by layer, (hidden/8, 8, 8) row-major, the matrices M = I + σ(α) R; empty where a layer has no adapter.
  MergedWeights(std::unique_ptr<const WeightSource> base, std::vector<std::vector<float>> blocks);

  const WeightSource& base() const { return *base_; }
  MatrixShape shape(const std::string& tensor) const { return base_->shape(tensor); }
  bool is_changed(const std::string& tensor) const { return blocks_of_.contains(tensor); }
  // By layer, as they were given.
  const std::vector<std::vector<float>>& blocks() const { return blocks_; }
  // As WeightSource::read; of changed tensors a multiple of eight rows from a multiple of eight.
  void read_merged(const std::string& tensor, std::size_t first_row, std::span<float> out) const;
  void release(const std::string& tensor) const { base_->release(tensor); }
  // How many rows make a piece of at most 16 MiB, in multiples of eight.
  static std::size_t rows_of_piece(MatrixShape shape);

 private:
  std::unique_ptr<const WeightSource> base_;
  std::vector<std::vector<float>> blocks_;
  std::map<std::string, std::span<const float>, std::less<>> blocks_of_;
};

}  // namespace nkat::exporting
