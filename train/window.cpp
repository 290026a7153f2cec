#include "train/window.h"

#include "core/random.h"

namespace nkat::train {

Window make_window(const data::Dataset& dataset, data::Sampler& sampler, const WindowShape& shape, std::int64_t step) {
  Window window;
  std::int64_t position = step * shape.batch_size * shape.accumulation;
  for (std::int64_t i = 0; i < shape.accumulation; ++i) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(shape.batch_size));
    for (std::int64_t& sample : samples) sample = sampler.at(position++);
    window.micro_batches.push_back(models::pack_samples(dataset, samples));
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
