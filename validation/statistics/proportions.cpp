#include "validation/statistics/proportions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace nkat::validation {
namespace {

constexpr double kNormal975 = 1.959963984540054;

// log C(n, k) / 2^n
double log_fair_probability(double n, double k) {
  return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - n * std::numbers::ln2;
}

}  // namespace

Interval wilson_interval(std::int64_t right, std::int64_t questions) {
  NKAT_INVARIANT(right >= 0 && right <= questions);
  if (questions == 0) return {0.0, 1.0};
  const auto n = static_cast<double>(questions);
  const double share = static_cast<double>(right) / n;
  const double shrink = 1.0 + kNormal975 * kNormal975 / n;
  const double center = (share + kNormal975 * kNormal975 / (2 * n)) / shrink;
  const double half = kNormal975 / shrink * std::sqrt(share * (1 - share) / n + kNormal975 * kNormal975 / (4 * n * n));
  // Rounding must not leave 1e-17 where none or all were right.
  return {right == 0 ? 0.0 : std::max(0.0, center - half), right == questions ? 1.0 : std::min(1.0, center + half)};
}

double mcnemar_p(std::int64_t gained, std::int64_t lost) {
  NKAT_INVARIANT(gained >= 0 && lost >= 0);
  if (gained == lost) return 1.0;
  const auto n = static_cast<double>(gained + lost);
  const auto fewer = static_cast<double>(std::min(gained, lost));
  // The tail relative to its largest term, downwards: C(n, k-1) / C(n, k) = k / (n-k+1) < 1.
  double tail = 0.0;
  double term = 1.0;
  for (double k = fewer; k >= 0 && term > tail * 1e-17; --k) {
    tail += term;
    term *= k / (n - k + 1);
  }
  return std::min(1.0, 2 * std::exp(log_fair_probability(n, fewer) + std::log(tail)));
}

}  // namespace nkat::validation
