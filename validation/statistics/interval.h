// Intervals with 95 % confidence, that of a share of right answers, and the exact test of two shares.
#pragma once

#include <cstdint>
#include <optional>

namespace nkat::validation {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

struct Estimate {
  double value = 0.0;
  std::optional<Interval> interval = std::nullopt;
};

// Right answers out of n questions, and whether two models differ on the same questions.
//
//   Wilson (1927): all shares p with |right/n - p| <= z sqrt(p (1-p) / n), z = 1.96
//   McNemar (1947), exact: if the models are equally good, each of the gained + lost questions on which they differ is
//     a fair coin; p is the two-sided tail of that binomial distribution
//
// Exact up to rounding, no state. Counts are not negative and right <= questions.

// With 95 % confidence; [0, 1] for no questions.
Interval wilson_interval(std::int64_t right, std::int64_t questions);

// gained: wrong with the first model, right with the second; lost: the other way round. 1 if they never differ.
double mcnemar_p(std::int64_t gained, std::int64_t lost);

}  // namespace nkat::validation
