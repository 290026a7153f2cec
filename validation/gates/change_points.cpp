#include "validation/gates/change_points.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace nkat::validation {
namespace {

// A candidate start of the last segment. With level m for the values up to t, its best score is, apart from terms
// common to all starts, score - 2 m moment + m^2 weight.
struct Start {
  std::size_t index = 0;
  double score = 0.0;  // reduction less penalties of the best partition before the start
  double weight = 0.0;
  double moment = 0.0;
};

// The best start for each level. The common terms change with t, the order of the starts doesn't: a start that is best
// for no level never will be.
class Envelope {
 public:
  Envelope(double lowest, double highest) : lowest_(lowest), highest_(highest) {}

  void add(const Start& start) {
    if (stretches_.empty()) {
      stretches_.push_back({lowest_, start});
      return;
    }
    next_.clear();
    for (std::size_t i = 0; i < stretches_.size(); ++i) {
      const double right = i + 1 < stretches_.size() ? stretches_[i + 1].left : highest_;
      contest(stretches_[i], right, start);
    }
    stretches_.swap(next_);
  }

  // The start with the highest score for a partition that ends at (weight, moment), and that score.
  Start best(double weight, double moment) const {
    Start best;
    best.score = -std::numeric_limits<double>::infinity();
    for (const Stretch& stretch : stretches_) {
      const double between = moment - stretch.best.moment;
      const double score = stretch.best.score + between * between / (weight - stretch.best.weight);
      if (score > best.score || (score == best.score && stretch.best.index < best.index)) {
        best = stretch.best;
        best.score = score;
      }
    }
    return best;
  }

 private:
  struct Stretch {
    double left = 0.0;  // from this level to the next stretch's
    Start best = {};
  };

  void keep(double left, const Start& start) {
    if (next_.empty() || next_.back().best.index != start.index) next_.push_back({left, start});
  }

  // The later start is better outside the roots of a m^2 - 2 b m + c, whose leading coefficient is positive.
  void contest(const Stretch& held, double right, const Start& later) {
    const double a = later.weight - held.best.weight;
    const double b = later.moment - held.best.moment;
    const double c = later.score - held.best.score;
    const bool wins_left = (a * held.left - 2.0 * b) * held.left + c > 0.0;
    const bool wins_right = (a * right - 2.0 * b) * right + c > 0.0;
    if (!wins_left && !wins_right) return keep(held.left, held.best);
    const double discriminant = b * b - a * c;
    const bool dips = b > a * held.left && b < a * right && discriminant > 0.0;
    if (wins_left && wins_right && !dips) return keep(held.left, later);
    const double root = std::sqrt(std::max(0.0, discriminant));
    if (wins_left) keep(held.left, later);
    keep(wins_left ? std::clamp((b - root) / a, held.left, right) : held.left, held.best);
    if (wins_right) keep(std::clamp((b + root) / a, held.left, right), later);
  }

  double lowest_;
  double highest_;
  std::vector<Stretch> stretches_ = {};
  std::vector<Stretch> next_ = {};
};

// Optimal partition with change points on `places`, which begin with 0 and end with the series' size.
std::vector<std::size_t> search(const WeightedSeries& series, const SegmentationRule& rule,
                                const std::vector<std::size_t>& places) {
  const std::vector<double>& weights = series.weights();
  const std::vector<double>& moments = series.moments();
  std::vector<double> score(places.size(), 0.0);
  std::vector<std::size_t> previous(places.size(), 0);
  Envelope envelope(series.lowest(), series.highest());
  envelope.add({.index = 0, .score = 0.0, .weight = 0.0, .moment = 0.0});
  std::size_t next_start = 1;
  for (std::size_t end = 1; end < places.size(); ++end) {
    const std::size_t place = places[end];
    for (; next_start < end && places[next_start] + rule.min_length <= place; ++next_start) {
      const std::size_t start = places[next_start];
      // The segment before it would be too short.
      if (start < rule.min_length) continue;
      envelope.add({next_start, score[next_start], weights[start], moments[start]});
    }
    const Start best = envelope.best(weights[place], moments[place]);
    previous[end] = best.index;
    score[end] = best.score - rule.penalty;
  }
  std::vector<std::size_t> starts;
  for (std::size_t end = places.size() - 1; end > 0; end = previous[end]) starts.push_back(places[previous[end]]);
  std::ranges::reverse(starts);
  return starts;
}

void move_to_best_place(const WeightedSeries& series, std::size_t min_length, std::vector<std::size_t>& starts) {
  for (std::size_t k = 1; k < starts.size(); ++k) {
    const std::size_t begin = starts[k - 1];
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : series.size();
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t place = begin + min_length; place + min_length <= end; ++place) {
      const double reduction = series.reduction(begin, place) + series.reduction(place, end);
      if (reduction <= most) continue;
      most = reduction;
      starts[k] = place;
    }
  }
}

}  // namespace

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

double WeightedSeries::reduction(std::size_t begin, std::size_t end) const {
  const double moment = moments_[end] - moments_[begin];
  return moment * moment / (weights_[end] - weights_[begin]);
}

std::vector<std::size_t> segment_starts(const WeightedSeries& series, const SegmentationRule& rule) {
  const std::size_t n = series.size();
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < n; place += rule.spacing) places.push_back(place);
  places.push_back(n);
  std::vector<std::size_t> starts = search(series, rule, places);
  if (rule.spacing > 1) move_to_best_place(series, rule.min_length, starts);
  return starts;
}

}  // namespace nkat::validation
