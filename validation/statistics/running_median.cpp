#include "validation/statistics/running_median.h"

#include "core/error.h"

namespace nkat::validation {
namespace {

class SortedWindow {
 public:
  explicit SortedWindow(std::size_t capacity) { values_.reserve(capacity); }

  void insert(double value) { values_.insert(values_.begin() + rank(value), value); }
  void erase(double value) { values_.erase(values_.begin() + rank(value)); }

  // Only what lies between the two places moves.
  void replace(double old_value, double new_value) {
    const auto out = values_.begin() + rank(old_value);
    auto in = values_.begin() + rank(new_value);
    if (in > out) {
      --in;
      std::move(out + 1, in + 1, out);
    } else {
      std::move_backward(in, out, out + 1);
    }
    *in = new_value;
  }

  double median() const {
    const std::size_t middle = values_.size() / 2;
    return values_.size() % 2 == 1 ? values_[middle] : 0.5 * (values_[middle - 1] + values_[middle]);
  }

 private:
  // Number of values below `value`, by a binary search without branches: the values come in no order that a branch
  // predictor could learn.
  std::ptrdiff_t rank(double value) const {
    const double* base = values_.data();
    std::size_t length = values_.size();
    while (length > 1) {
      const std::size_t half = length / 2;
      base += base[half - 1] < value ? half : 0;
      length -= half;
    }
    return base - values_.data() + (length == 1 && *base < value ? 1 : 0);
  }

  std::vector<double> values_;
};

}  // namespace

std::vector<double> running_median(std::span<const double> values, std::size_t positions, MedianWindow window) {
  std::vector<double> medians(positions);
  SortedWindow sorted(std::min(values.size(), window.before + window.after + 1));
  std::size_t entered = 0;
  std::size_t left = 0;
  for (std::size_t i = 0; i < positions; ++i) {
    const std::size_t end = std::min(values.size(), i + window.after + 1);
    const std::size_t begin = i > window.before ? i - window.before : 0;
    NKAT_INVARIANT(begin < end);
    while (entered < end && left < begin) sorted.replace(values[left++], values[entered++]);
    while (entered < end) sorted.insert(values[entered++]);
    while (left < begin) sorted.erase(values[left++]);
    medians[i] = sorted.median();
  }
  return medians;
}

double median(std::vector<double> values) {
  NKAT_INVARIANT(!values.empty());
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*std::max_element(values.begin(), middle) + *middle);
}

}  // namespace nkat::validation
