// The state of a run: everything that its next step depends on. Checkpoints and config.json keep it, a resume loads it.
//
// Shapes: A layers with an adapter, N blocks; all tensors are float32 on the host.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/run/step_metrics.h"
#include "models/adapter.h"
#include "train/micro_batch.h"
#include "train/optimizer.h"

namespace nkat::train {

using data::StepMetrics;

// The part that config.json keeps beside the options: it is written as soon as it changes, not with a checkpoint.
struct RunSettings {
  std::string requested_checkpointing = "auto";  // before it was resolved to a number of layers
  MemorySettings memory = {};
  std::vector<std::string> memory_events = {};  // "step 7: recomputing 8 of 32 layers"
  std::string validation_sha256 = "";           // of the validation data; empty: none
  std::int64_t validation_since = 0;            // losses of steps up to here are of other validation data
  std::int64_t ranks = 1;
};

struct TrainerState {
  std::int64_t step = 0;  // finished steps
  models::Adapter adapter = {};
  OptimizerState optimizer = {};
  // The metrics of `step` when it ended before its validation did; the validation is repeated on resume.
  std::optional<StepMetrics> pending = std::nullopt;
  RunSettings settings = {};
};

// What a training step changes: W, alpha, and both moments of each.
std::array<at::Tensor, 6> trained_tensors(const TrainerState& state);

// The first 64 bits of SHA-256 over step, updates and trained_tensors(), for ranks to compare.
std::uint64_t state_digest(const TrainerState& state);

}  // namespace nkat::train
