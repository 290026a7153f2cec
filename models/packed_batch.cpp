#include "models/packed_batch.h"

#include <numeric>

#include "core/error.h"

namespace nkat::models {
namespace {

at::Tensor int64_tensor(const std::vector<std::int64_t>& values) {
  return at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong);
}

PackedBatch part_of(const PackedBatch& packed, std::size_t begin, std::size_t end) {
  const auto first = packed.lengths.begin();
  const std::int64_t from = std::accumulate(first, first + static_cast<std::ptrdiff_t>(begin), std::int64_t{0});
  PackedBatch part;
  part.lengths.assign(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end));
  part.samples.assign(packed.samples.begin() + static_cast<std::ptrdiff_t>(begin),
                      packed.samples.begin() + static_cast<std::ptrdiff_t>(end));
  const std::int64_t count = std::accumulate(part.lengths.begin(), part.lengths.end(), std::int64_t{0});
  part.tokens = packed.tokens.narrow(0, from, count);
  const at::Tensor inside = packed.target_rows.ge(from).logical_and(packed.target_rows.lt(from + count));
  part.target_rows = packed.target_rows.masked_select(inside) - from;
  part.targets = packed.targets.masked_select(inside);
  return part;
}

}  // namespace

PackedBatch PackedBatch::to(at::Device device) const {
  const auto moved = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(device) : tensor; };
  return {moved(tokens), lengths, moved(target_rows), moved(targets), samples};
}

PackedBatch pack_samples(const data::Dataset& dataset, std::span<const std::int64_t> samples) {
  std::vector<std::int64_t> tokens, rows, targets;
  PackedBatch packed;
  for (const std::int64_t index : samples) {
    const data::SampleView sample = dataset.sample(index);
    for (std::int64_t i = 0; i < sample.length(); ++i) {
      if (i > 0 && sample.is_target(i)) {
        rows.push_back(static_cast<std::int64_t>(tokens.size()) - 1);
        targets.push_back(sample.token(i));
      }
      tokens.push_back(sample.token(i));
    }
    packed.lengths.push_back(sample.length());
    packed.samples.push_back(index);
  }
  packed.tokens = int64_tensor(tokens);
  packed.target_rows = int64_tensor(rows);
  packed.targets = int64_tensor(targets);
  return packed;
}

std::pair<PackedBatch, PackedBatch> split_in_half(const PackedBatch& packed) {
  NKAT_INVARIANT(packed.lengths.size() >= 2 && packed.samples.size() == packed.lengths.size() &&
                 packed.targets.defined());
  const std::size_t middle = packed.lengths.size() / 2;
  return {part_of(packed, 0, middle), part_of(packed, middle, packed.lengths.size())};
}

PackedBatch pad_rows(const PackedBatch& packed, std::int64_t multiple) {
  const std::int64_t missing = (multiple - packed.token_count() % multiple) % multiple;
  if (missing == 0) return packed;
  PackedBatch padded = packed;
  padded.tokens = at::cat({packed.tokens, packed.tokens.new_zeros({missing})});
  padded.lengths.push_back(missing);
  return padded;
}

}  // namespace nkat::models
