#include "train/window.h"

#include <algorithm>

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

std::vector<std::int64_t> window_samples(data::Sampler& sampler, const WindowShape& shape, std::int64_t step) {
  const std::int64_t count = shape.batch_size * shape.accumulation;
  std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) samples[static_cast<std::size_t>(i)] = sampler.at(step * count + i);
  return samples;
}

// Tokens of each batch_size samples, which always stay together.
std::vector<std::int64_t> batch_tokens(const data::Dataset& dataset, const std::vector<std::int64_t>& samples,
                                       std::int64_t batch_size) {
  std::vector<std::int64_t> tokens(samples.size() / static_cast<std::size_t>(batch_size));
  for (std::size_t i = 0; i < samples.size(); ++i)
    tokens[i / static_cast<std::size_t>(batch_size)] += dataset.sample(samples[i]).length();
  return tokens;
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

Window make_window(const data::Dataset& dataset, data::Sampler& sampler, const WindowShape& shape, std::int64_t step) {
  const std::vector<std::int64_t> samples = window_samples(sampler, shape, step);
  Window window;
  std::size_t begin = 0;
  for (const std::size_t batches :
       balanced_groups(batch_tokens(dataset, samples, shape.batch_size), shape.micro_batch_tokens)) {
    const std::size_t count = batches * static_cast<std::size_t>(shape.batch_size);
    window.micro_batches.push_back(models::pack_samples(dataset, std::span(samples).subspan(begin, count)));
    begin += count;
    window.tokens += window.micro_batches.back().token_count();
    window.target_tokens += window.micro_batches.back().target_count();
  }
  return window;
}

void shuffle_targets(Window& window, std::uint64_t seed, std::int64_t step) {
  std::vector<std::int64_t> ids;
  for (const models::PackedSamples& packed : window.micro_batches) {
    const std::int64_t* values = packed.targets.data_ptr<std::int64_t>();
    ids.insert(ids.end(), values, values + packed.target_count());
  }
  RandomStream(seed, "shuffle-targets", static_cast<std::uint64_t>(step)).shuffle(ids);
  const std::int64_t* next = ids.data();
  for (models::PackedSamples& packed : window.micro_batches) {
    std::copy_n(next, packed.target_count(), packed.targets.data_ptr<std::int64_t>());
    next += packed.target_count();
  }
}

}  // namespace nkat::train
