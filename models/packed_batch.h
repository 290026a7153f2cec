// Samples of a dataset laid end to end, without padding, as the decoder takes them, and the rows that have a target.
//
// Shapes: T tokens of all samples, R targets. Row t predicts the token at t+1 of the same sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "data/datasets/dataset.h"

namespace nkat::models {

struct PackedSamples {
  at::Tensor tokens;                  // (T) int64
  std::vector<std::int64_t> lengths;  // of each sample; sum = T
  at::Tensor target_rows;             // (R) int64, ascending
  at::Tensor targets;                 // (R) int64
  std::vector<std::int64_t> samples;  // indices in the dataset

  std::int64_t token_count() const { return tokens.size(0); }
  std::int64_t target_count() const { return targets.size(0); }
  PackedSamples to(at::Device device) const;
};

PackedSamples pack_samples(const data::Dataset& dataset, std::span<const std::int64_t> samples);

// The first and the second half of the samples; the targets go with their rows. Needs at least two samples.
std::pair<PackedSamples, PackedSamples> split_in_half(const PackedSamples& packed);

// The same with rows of padding at the end, until T is a multiple: one more sample of token 0, which attends to itself,
// has no target and no index in the dataset. Rows without targets get gradients of exactly 0, so that every sum over
// rows stays what it was.
PackedSamples pad_rows(const PackedSamples& packed, std::int64_t multiple);

}  // namespace nkat::models
