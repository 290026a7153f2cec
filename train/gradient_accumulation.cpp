#include "train/gradient_accumulation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/random.h"
#include "core/signals.h"

namespace nkat::train {
namespace {

// Fills each group up to the limit before the next one begins: the fewest groups there can be.
std::vector<std::size_t> filled_groups(const std::vector<std::int64_t>& sizes, std::int64_t limit) {
  std::vector<std::size_t> groups;
  std::int64_t sum = 0;
  for (const std::int64_t size : sizes) {
    if (groups.empty() || sum + size > limit) {
      groups.push_back(0);
      sum = 0;
    }
    ++groups.back();
    sum += size;
  }
  return groups;
}

std::vector<std::int64_t> samples_of_step(data::Sampler& sampler, const BatchShape& shape, std::int64_t step) {
  const std::int64_t count = shape.batch_size * shape.accumulation;
  std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) samples[static_cast<std::size_t>(i)] = sampler.at(step * count + i);
  return samples;
}

// As models::pack_samples counts them: the first token of a sample has nothing to be predicted from.
template <class Visit>
void for_each_target(const data::SampleView& sample, const Visit& visit) {
  for (std::int64_t i = 1; i < sample.length(); ++i) {
    if (sample.is_target(i)) visit(sample.token(i));
  }
}

// Sums of `together` consecutive sizes each; the last may be of fewer.
std::vector<std::int64_t> unit_sums(const std::vector<std::int64_t>& sizes, std::size_t together) {
  std::vector<std::int64_t> sums((sizes.size() + together - 1) / together);
  for (std::size_t i = 0; i < sizes.size(); ++i) sums[i / together] += sizes[i];
  return sums;
}

// One sum over all layers, so that a GPU is asked once.
bool all_finite(const AdapterMatrixGradients& gradients) {
  at::Tensor sum = at::zeros({}, gradients.front().options());
  for (const at::Tensor& gradient : gradients) sum.add_(gradient.sum());
  return std::isfinite(sum.item<double>());
}

void add(AdapterMatrixGradients& sum, AdapterMatrixGradients gradients) {
  if (sum.empty()) {
    sum = std::move(gradients);
  } else {
    for (std::size_t layer = 0; layer < gradients.size(); ++layer) sum[layer].add_(gradients[layer]);
  }
}

}  // namespace

std::vector<std::size_t> balanced_groups(const std::vector<std::int64_t>& sizes, std::int64_t limit) {
  if (sizes.empty()) return {};
  const std::size_t fewest = filled_groups(sizes, limit).size();
  std::int64_t low = *std::ranges::max_element(sizes), high = std::max(low, limit);
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (filled_groups(sizes, middle).size() <= fewest) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return filled_groups(sizes, low);
}

std::vector<std::vector<std::int64_t>> balanced_shares(const std::vector<std::int64_t>& sizes, int ranks) {
  std::vector<std::int64_t> by_size(sizes.size());
  std::iota(by_size.begin(), by_size.end(), std::int64_t{0});
  const auto size_at = [&](std::int64_t index) { return sizes[static_cast<std::size_t>(index)]; };
  std::ranges::stable_sort(by_size, std::greater(), size_at);
  std::vector<std::vector<std::int64_t>> shares(static_cast<std::size_t>(ranks));
  std::vector<std::int64_t> sums(shares.size());
  for (const std::int64_t index : by_size) {
    const auto least = static_cast<std::size_t>(std::ranges::min_element(sums) - sums.begin());
    shares[least].push_back(index);
    sums[least] += size_at(index);
  }
  for (auto& share : shares) std::ranges::sort(share);
  return shares;
}

GlobalBatch assemble_batch(const data::Dataset& dataset, data::Sampler& sampler, const BatchShape& shape,
                           std::int64_t step) {
  GlobalBatch batch;
  batch.samples = samples_of_step(sampler, shape, step);
  std::vector<std::int64_t> lengths;
  for (const std::int64_t index : batch.samples) {
    const data::SampleView sample = dataset.sample(index);
    lengths.push_back(sample.length());
    batch.tokens += sample.length();
    for_each_target(sample, [&](std::int32_t) { ++batch.target_tokens; });
  }
  const auto share = balanced_shares(lengths, shape.ranks)[static_cast<std::size_t>(shape.rank)];
  std::vector<std::int64_t> samples, sizes;
  for (const std::int64_t index : share) {
    samples.push_back(batch.samples[static_cast<std::size_t>(index)]);
    sizes.push_back(lengths[static_cast<std::size_t>(index)]);
  }
  const auto together = static_cast<std::size_t>(shape.batch_size);
  std::size_t begin = 0;
  for (const std::size_t units : balanced_groups(unit_sums(sizes, together), shape.micro_batch_tokens)) {
    const std::size_t count = std::min(units * together, samples.size() - begin);
    batch.micro_batches.push_back(models::pack_samples(dataset, std::span(samples).subspan(begin, count)));
    const auto first = share.begin() + static_cast<std::ptrdiff_t>(begin);
    batch.sample_indices.emplace_back(first, first + static_cast<std::ptrdiff_t>(count));
    begin += count;
  }
  return batch;
}

void shuffle_targets(GlobalBatch& batch, const data::Dataset& dataset, std::uint64_t seed, std::int64_t step) {
  std::vector<std::int64_t> ids;
  std::vector<std::ptrdiff_t> begins;  // in ids, by index in the batch
  for (const std::int64_t index : batch.samples) {
    begins.push_back(std::ssize(ids));
    for_each_target(dataset.sample(index), [&](std::int32_t token) { ids.push_back(token); });
  }
  begins.push_back(std::ssize(ids));
  RandomStream(seed, "shuffle-targets", static_cast<std::uint64_t>(step)).shuffle(ids);
  for (std::size_t i = 0; i < batch.micro_batches.size(); ++i) {
    std::int64_t* target = batch.micro_batches[i].targets.mutable_data_ptr<std::int64_t>();
    for (const std::int64_t index : batch.sample_indices[i]) {
      const auto at = static_cast<std::size_t>(index);
      target = std::copy(ids.begin() + begins[at], ids.begin() + begins[at + 1], target);
    }
  }
}

StepResult accumulate_gradients(AdapterGradients& adapter, const GlobalBatch& batch,
                                const std::function<double(const models::PackedBatch&)>& run_micro_batch) {
  StepResult result;
  for (std::size_t i = 0; i < batch.micro_batches.size() && !stop_requested(); ++i) {
    const double loss = run_micro_batch(batch.micro_batches[i]);
    // The leaves hold this micro-batch alone, so that a failed attempt can be thrown away.
    AdapterMatrixGradients gradients = adapter.collect_gradients();
    if (!std::isfinite(loss) || !all_finite(gradients)) {
      const auto& indices = batch.sample_indices[i];
      result.nonfinite_samples.insert(result.nonfinite_samples.end(), indices.begin(), indices.end());
    }
    result.loss_sum += loss;
    add(result.matrix_gradients, std::move(gradients));
  }
  if (result.matrix_gradients.empty()) result.matrix_gradients = adapter.collect_gradients();  // zeros
  result.stop = stop_requested();
  return result;
}

}  // namespace nkat::train
