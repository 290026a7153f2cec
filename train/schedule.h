// Learning-rate schedules and the annealing of the triality weight (docs: the adapter's mathematics, 4 and 5).
// t counts optimizer steps from 0; every function here is pure.
#pragma once

#include <cstdint>

#include "core/enum_names.h"

namespace nkat::train {

enum class ScheduleKind { kCosine, kConstant, kLinear };
inline constexpr EnumNames<ScheduleKind, 3> kScheduleNames = {
    {{ScheduleKind::kCosine, "cosine"}, {ScheduleKind::kConstant, "constant"}, {ScheduleKind::kLinear, "linear"}}};

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  std::int64_t warmup_steps = 100;
  std::int64_t max_steps = 5000;
  double min_rate_ratio = 0.1;

  // What the base rate is multiplied by at step t: (t+1)/w during the warm-up, then with p = (t-w)/max(1, S-w)
  // cosine r + (1-r)(1+cos πp)/2, linear 1 - (1-r)p, constant 1.
  double factor(std::int64_t t) const;
  // Σ factor(t) over all steps: times the base rate, the furthest that Adam moves a parameter (about one rate a step).
  double total() const;
};

// λ(t) = λ_max min(1, t / warmup); warmup 0: λ_max at once.
double triality_weight_at(std::int64_t t, double maximum, std::int64_t warmup);

}  // namespace nkat::train
