#include "validation/gates/force_partition.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nkat::validation {
namespace {

// A start of the last piece. With level m for the values up to t, the best that can be had from it is, but for terms
// that all starts share, score - 2 m moment + m^2 weight.
struct Start {
  std::size_t index = 0;
  double score = 0.0;  // gain less penalties of the best partition before the start
  double weight = 0.0;
  double moment = 0.0;
};

// For each level, the start that is best for it. As the shared terms change with t but the order of the starts doesn't,
// a start that is best nowhere never will be.
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

// Optimal partition whose changes lie on `places`, which start with 0 and end with the series' size.
std::vector<std::size_t> search(const WeightedSeries& series, const PartitionRule& rule,
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
    for (; next_start < end && places[next_start] + rule.shortest_piece <= place; ++next_start) {
      const std::size_t start = places[next_start];
      // Too close to the beginning to be the end of a piece.
      if (start < rule.shortest_piece) continue;
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

void move_to_best_place(const WeightedSeries& series, std::size_t shortest_piece, std::vector<std::size_t>& starts) {
  for (std::size_t k = 1; k < starts.size(); ++k) {
    const std::size_t begin = starts[k - 1];
    const std::size_t end = k + 1 < starts.size() ? starts[k + 1] : series.size();
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t place = begin + shortest_piece; place + shortest_piece <= end; ++place) {
      const double gain = series.gain(begin, place) + series.gain(place, end);
      if (gain <= most) continue;
      most = gain;
      starts[k] = place;
    }
  }
}

}  // namespace

std::vector<std::size_t> partition(const WeightedSeries& series, const PartitionRule& rule) {
  const std::size_t n = series.size();
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < n; place += rule.spacing) places.push_back(place);
  places.push_back(n);
  std::vector<std::size_t> starts = search(series, rule, places);
  if (rule.spacing > 1) move_to_best_place(series, rule.shortest_piece, starts);
  return starts;
}

}  // namespace nkat::validation
