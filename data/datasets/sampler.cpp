#include "data/datasets/sampler.h"

#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace nkat::data {

Sampler::Sampler(std::int64_t size, std::uint64_t seed) : size_(size), seed_(seed) {
  NKAT_INVARIANT(size > 0 && size <= std::numeric_limits<std::uint32_t>::max());
}

std::int64_t Sampler::at(std::int64_t stream_position) {
  NKAT_INVARIANT(stream_position >= 0);
  const std::int64_t epoch = stream_position / size_;
  if (epoch != epoch_) {
    order_.resize(static_cast<std::size_t>(size_));
    std::iota(order_.begin(), order_.end(), 0u);
    RandomStream(seed_, "shuffle", static_cast<std::uint64_t>(epoch)).shuffle(order_);
    epoch_ = epoch;
  }
  return order_[static_cast<std::size_t>(stream_position % size_)];
}

}  // namespace nkat::data
