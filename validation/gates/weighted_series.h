// A series with a weight 1/s_t^2 for each value, ready for sums over any stretch of it.
// Stretches are half-open: from `begin` to before `end`. Sums are kept about the middle of the series and in units of
// its scale, so that a force of any size loses nothing to rounding; what is returned is in the force's own units.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nkat::validation {

class WeightedSeries {
 public:
  // As many scales (> 0) as values, at least one.
  WeightedSeries(std::span<const double> values, std::span<const double> scale);

  std::size_t size() const { return weights_.size() - 1; }
  double mean(std::size_t begin, std::size_t end) const;    // weighted
  double weight(std::size_t begin, std::size_t end) const;  // sum of 1/s_t^2
  // By how much the weighted sum of squares falls when the stretch gets its own mean (no unit).
  double gain(std::size_t begin, std::size_t end) const;

  // Sums over the first i values, [n + 1]: of the weights, and of weight times value, both as kept.
  const std::vector<double>& weights() const { return weights_; }
  const std::vector<double>& moments() const { return moments_; }
  // Between which every mean lies, as kept.
  double lowest() const { return lowest_; }
  double highest() const { return highest_; }

 private:
  double center_;
  double unit_;
  double lowest_ = 0.0;
  double highest_ = 0.0;
  std::vector<double> weights_;
  std::vector<double> moments_;
};

}  // namespace nkat::validation
