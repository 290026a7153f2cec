#include "validation/statistics/interval.h"

#include <algorithm>
#include <cmath>

#include <boost/math/distributions/binomial.hpp>

#include "core/error.h"

namespace nkat::validation {
namespace {

constexpr double kNormal975 = 1.959963984540054;

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
  const boost::math::binomial fair(static_cast<double>(gained + lost), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(fair, static_cast<double>(std::min(gained, lost))));
}

}  // namespace nkat::validation
