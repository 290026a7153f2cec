// Learning-rate schedules and the annealing of the triality weight (layers/MATHEMATICS.md). t counts optimizer steps
// from 0.
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

  // Factor of the peak rate at step t. With w warm-up steps of S and the final ratio r: (t+1)/w during warm-up, then
  // with p = (t-w)/max(1, S-w) cosine r + (1-r)(1+cos(pi p))/2, linear 1 - (1-r)p, constant 1.
  double factor(std::int64_t t) const;
  // Sum of factor(t) over all steps. Times the peak rate it bounds how far Adam moves a parameter, at about one rate
  // per step.
  double total() const;
};

// maximum · min(1, t / warmup); warmup 0: the maximum from the first step on.
double triality_weight_at(std::int64_t t, double maximum, std::int64_t warmup);

}  // namespace nkat::train
