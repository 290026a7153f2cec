// The order in which samples are trained: epoch after epoch, each a permutation of all samples.
//   epoch e = stream position / size; its permutation is the identity shuffled by Fisher-Yates (from the last element
//   down) with RandomStream(seed, "shuffle", e).
// A pure function of (size, seed, position), so that a run resumes from a number. Memory: 4 bytes per sample.
#pragma once

#include <cstdint>
#include <vector>

namespace nkat::data {

class Sampler {
 public:
  Sampler(std::int64_t size, std::uint64_t seed);
  // The sample at this position (>= 0) of the stream. Cheap within one epoch.
  std::int64_t at(std::int64_t stream_position);

 private:
  std::int64_t size_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::uint32_t> order_;
};

}  // namespace nkat::data
