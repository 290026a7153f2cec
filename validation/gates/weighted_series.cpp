#include "validation/gates/weighted_series.h"

#include <algorithm>

#include "core/error.h"

namespace nkat::validation {

WeightedSeries::WeightedSeries(std::span<const double> values, std::span<const double> scale)
    : weights_(values.size() + 1), moments_(values.size() + 1) {
  NKAT_INVARIANT(!values.empty() && values.size() == scale.size());
  center_ = values[values.size() / 2];
  unit_ = *std::ranges::max_element(scale);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = (values[i] - center_) / unit_;
    const double ratio = unit_ / scale[i];
    const double weight = ratio * ratio;
    weights_[i + 1] = weights_[i] + weight;
    moments_[i + 1] = moments_[i] + weight * value;
    lowest_ = std::min(lowest_, value);
    highest_ = std::max(highest_, value);
  }
}

double WeightedSeries::mean(std::size_t begin, std::size_t end) const {
  return center_ + unit_ * (moments_[end] - moments_[begin]) / (weights_[end] - weights_[begin]);
}

double WeightedSeries::weight(std::size_t begin, std::size_t end) const {
  return (weights_[end] - weights_[begin]) / (unit_ * unit_);
}

double WeightedSeries::gain(std::size_t begin, std::size_t end) const {
  const double moment = moments_[end] - moments_[begin];
  return moment * moment / (weights_[end] - weights_[begin]);
}

}  // namespace nkat::validation
