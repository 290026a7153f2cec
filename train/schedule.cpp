#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nkat::train {

double Schedule::factor(std::int64_t t) const {
  if (t < warmup_steps) return static_cast<double>(t + 1) / static_cast<double>(warmup_steps);
  const double p =
      static_cast<double>(t - warmup_steps) / static_cast<double>(std::max<std::int64_t>(1, max_steps - warmup_steps));
  switch (kind) {
    case ScheduleKind::kCosine:
      return min_rate_ratio + (1.0 - min_rate_ratio) * (1.0 + std::cos(std::numbers::pi * p)) / 2.0;
    case ScheduleKind::kLinear: return 1.0 - (1.0 - min_rate_ratio) * p;
    case ScheduleKind::kConstant: return 1.0;
  }
  return 1.0;
}

double Schedule::total() const {
  const double warm = static_cast<double>(std::min(warmup_steps, max_steps));
  const double warmed = warmup_steps == 0 ? 0.0 : warm * (warm + 1.0) / 2.0 / static_cast<double>(warmup_steps);
  const double n = static_cast<double>(max_steps) - warm;  // p = k/n for k = 0 .. n-1; Σ k/n = (n-1)/2, Σ cos(πk/n) = 1
  if (n == 0.0) return warmed;
  switch (kind) {
    case ScheduleKind::kCosine: return warmed + n * min_rate_ratio + (1.0 - min_rate_ratio) * (n + 1.0) / 2.0;
    case ScheduleKind::kLinear: return warmed + n - (1.0 - min_rate_ratio) * (n - 1.0) / 2.0;
    case ScheduleKind::kConstant: return warmed + n;
  }
  return warmed;
}

double triality_weight_at(std::int64_t t, double maximum, std::int64_t warmup) {
  return warmup == 0 ? maximum : maximum * std::min(1.0, static_cast<double>(t) / static_cast<double>(warmup));
}

}  // namespace nkat::train
