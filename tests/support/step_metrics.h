// A line of metrics.jsonl with two layers, for tests of what reads and writes such lines.
#pragma once

#include "data/run/step_metrics.h"

namespace nkat::testing {

inline data::StepMetrics metrics_of_step(std::int64_t step) {
  return {.step = step,
          .loss = 1.5,
          .tokens = 100,
          .target_tokens = 40,
          .alpha = {-5.0, -4.5},
          .gate_force = {0.25, -0.5},
          .step_seconds = 2.0};
}

}  // namespace nkat::testing
