#include "train/batch.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/random.h"

namespace nkat::train {
namespace {

// Each group is filled up to the limit before the next is begun: the fewest there can be.
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

std::vector<std::int64_t> window_samples(data::Sampler& sampler, const BatchShape& shape, std::int64_t step) {
  const std::int64_t count = shape.batch_size * shape.accumulation;
  std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) samples[static_cast<std::size_t>(i)] = sampler.at(step * count + i);
  return samples;
}

// As tensors have them: nothing comes before the first token of a sample, so it is no target.
template <class Visit>
void for_each_target(const data::SampleView& sample, const Visit& visit) {
  for (std::int64_t i = 1; i < sample.length(); ++i) {
    if (sample.is_target(i)) visit(sample.token(i));
  }
}

// Sums of up to `together` consecutive sizes.
std::vector<std::int64_t> unit_sums(const std::vector<std::int64_t>& sizes, std::size_t together) {
  std::vector<std::int64_t> sums((sizes.size() + together - 1) / together);
  for (std::size_t i = 0; i < sizes.size(); ++i) sums[i / together] += sizes[i];
  return sums;
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
  const auto size_at = [&](std::int64_t place) { return sizes[static_cast<std::size_t>(place)]; };
  std::ranges::stable_sort(by_size, std::greater(), size_at);
  std::vector<std::vector<std::int64_t>> shares(static_cast<std::size_t>(ranks));
  std::vector<std::int64_t> sums(shares.size());
  for (const std::int64_t place : by_size) {
    const auto least = static_cast<std::size_t>(std::ranges::min_element(sums) - sums.begin());
    shares[least].push_back(place);
    sums[least] += size_at(place);
  }
  for (auto& share : shares) std::ranges::sort(share);
  return shares;
}

GlobalBatch assemble_batch(const data::Dataset& dataset, data::Sampler& sampler, const BatchShape& shape,
                           std::int64_t step) {
  GlobalBatch window;
  window.samples = window_samples(sampler, shape, step);
  std::vector<std::int64_t> lengths;
  for (const std::int64_t index : window.samples) {
    const data::SampleView sample = dataset.sample(index);
    lengths.push_back(sample.length());
    window.tokens += sample.length();
    for_each_target(sample, [&](std::int32_t) { ++window.target_tokens; });
  }
  const auto share = balanced_shares(lengths, shape.ranks)[static_cast<std::size_t>(shape.rank)];
  std::vector<std::int64_t> samples, sizes;
  for (const std::int64_t place : share) {
    samples.push_back(window.samples[static_cast<std::size_t>(place)]);
    sizes.push_back(lengths[static_cast<std::size_t>(place)]);
  }
  const auto together = static_cast<std::size_t>(shape.batch_size);
  std::size_t begin = 0;
  for (const std::size_t units : balanced_groups(unit_sums(sizes, together), shape.micro_batch_tokens)) {
    const std::size_t count = std::min(units * together, samples.size() - begin);
    window.micro_batches.push_back(models::pack_samples(dataset, std::span(samples).subspan(begin, count)));
    const auto first = share.begin() + static_cast<std::ptrdiff_t>(begin);
    window.places.emplace_back(first, first + static_cast<std::ptrdiff_t>(count));
    begin += count;
  }
  return window;
}

void shuffle_targets(GlobalBatch& window, const data::Dataset& dataset, std::uint64_t seed, std::int64_t step) {
  std::vector<std::int64_t> ids;
  std::vector<std::ptrdiff_t> begins;  // in ids, by place
  for (const std::int64_t index : window.samples) {
    begins.push_back(std::ssize(ids));
    for_each_target(dataset.sample(index), [&](std::int32_t token) { ids.push_back(token); });
  }
  begins.push_back(std::ssize(ids));
  RandomStream(seed, "shuffle-targets", static_cast<std::uint64_t>(step)).shuffle(ids);
  for (std::size_t i = 0; i < window.micro_batches.size(); ++i) {
    std::int64_t* target = window.micro_batches[i].targets.mutable_data_ptr<std::int64_t>();
    for (const std::int64_t place : window.places[i]) {
      const auto at = static_cast<std::size_t>(place);
      target = std::copy(ids.begin() + begins[at], ids.begin() + begins[at + 1], target);
    }
  }
}

}  // namespace nkat::train
