// Samples laid end to end without padding, as the decoder takes them, and the rows that have a target.
//
// Shapes: T tokens of all samples, R targets. Row t predicts the token at t+1 of the same sample.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "data/datasets/dataset.h"

namespace nkat::models {

struct PackedBatch {
  at::Tensor tokens;                       // (T) int64
  std::vector<std::int64_t> lengths;       // of each sample; sum = T
  at::Tensor target_rows = {};             // (R) int64, ascending; undefined where nothing is predicted
  at::Tensor targets = {};                 // (R) int64
  std::vector<std::int64_t> samples = {};  // indices in the dataset, if that is where they come from

  std::int64_t token_count() const { return tokens.size(0); }
  std::int64_t target_count() const { return targets.size(0); }
  PackedBatch to(at::Device device) const;
};

PackedBatch pack_samples(const data::Dataset& dataset, std::span<const std::int64_t> samples);

// The first and the second half of the samples with their targets. Needs pack_samples' of at least two samples, unpadded.
std::pair<PackedBatch, PackedBatch> split_in_half(const PackedBatch& packed);

// Pads T to a multiple with one more sample of token 0, which attends to itself alone and has no target and no index in
// the dataset. Rows without targets get gradients of exactly 0, so sums over rows keep their bits.
PackedBatch pad_rows(const PackedBatch& packed, std::int64_t multiple);

}  // namespace nkat::models
