// Random numbers as a pure function of a seed and a purpose, the same on every machine.
// A stream is SplitMix64 (Steele, Lea, Flood 2014) started at a hash of (seed, purpose, index), so resuming needs no
// saved state: the stream of step 17 is recomputed from its numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nkat {

class RandomStream {
 public:
  // purpose: what the numbers are for ("shuffle", "adapter-init"); two uses of one seed are independent.
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint64_t bits();                      // 64 uniform bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), without modulo bias; bound > 0
  double uniform();                          // [0, 1), 53 bits
  double normal();                           // N(0, 1), Box-Muller, one value per call

  // Fisher-Yates from the last element down.
  template <class Item>
  void shuffle(std::vector<Item>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace nkat
