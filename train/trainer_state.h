// The state of a run: everything that its next step depends on. Checkpoints and config.json keep it, a resume loads it.
//
// Shapes: A layers with an adapter, N blocks; all tensors are float32 on the host.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "data/run/run_config.h"
#include "data/run/step_metrics.h"
#include "models/adapter.h"
#include "train/optimizer.h"

namespace nkat::train {

using data::StepMetrics;

struct TrainerState {
  std::int64_t step = 0;  // finished steps
  models::Adapter adapter = {};
  OptimizerState optimizer = {};
  // The metrics of `step` when it ended before its validation did; the validation is repeated on resume.
  std::optional<StepMetrics> pending = std::nullopt;
  data::RunFacts settings = {};  // in config.json, beside the options
};

// What a training step changes: W, alpha, and both moments of each.
std::array<at::Tensor, 6> trained_tensors(const TrainerState& state);

// The first 64 bits of SHA-256 over step, updates and trained_tensors(), for ranks to compare.
std::uint64_t state_digest(const TrainerState& state);

}  // namespace nkat::train
