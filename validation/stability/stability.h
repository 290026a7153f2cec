// How steadily a run trained, from its metrics: spikes, skipped steps, loss trends, memory and speed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "validation/run/run_reader.h"
#include "validation/stability/loss_trends.h"

namespace nkat::validation {

// A step at which a series jumps up.
struct Outlier {
  std::int64_t step = 0;
  std::string what = {};  // "loss", "gradient norm"
  double value = 0.0;
  double z = 0.0;  // robust z-score
};

struct SpeedPhase {
  std::string name = {};  // "rate warm-up", "lambda annealing", "full lambda"; "all steps" if settings are unknown
  std::int64_t from = 0;
  std::int64_t to = 0;
  double tokens_per_second = 0.0;  // all tokens over all seconds
};

struct StabilityOptions {
  double spike_z = 8.0;
  double converged_change = 0.01;  // of the loss
  double overfitting_rise = 0.02;
};

struct StabilityResults {
  std::vector<Outlier> spikes = {};
  std::vector<std::pair<std::int64_t, std::string>> skipped = {};  // step, reason
  std::optional<std::int64_t> diverged_at = std::nullopt;
  std::optional<Convergence> convergence = {};
  std::string why_no_convergence = {};
  std::optional<Overfitting> overfitting = {};  // absent without at least three validation losses
  double loss_first = 0.0;                      // both NaN if no loss is finite
  double loss_last = 0.0;                       // mean of the last fifth
  std::uint64_t peak_memory_bytes = 0;
  // Steps only: the metrics don't hold the time of validations and checkpoints.
  double hours = 0.0;          // of the steps so far
  double hours_planned = 0.0;  // for max_steps, at the mean rate so far
  std::vector<SpeedPhase> phases = {};
};

// Nothing for a run whose metrics are series only.
std::optional<StabilityResults> analyze_stability(const RunRecords& run, const StabilityOptions& options);

// Spikes of the training loss, and of the logarithm of the gradient norm, whose noise is relative to it; by step.
// z = r / (1.4826 m): r the distance from the running median over +-max(25, n/40) steps (fewer on both sides at the
// ends), m the larger of the medians of |r| over that range and over all steps. The scale is at least 0.1 % of the
// median loss (0.01 of a logarithm). Since the reference follows the series, neither a falling loss nor changing noise
// counts as a spike. Steps without a finite value are left out; a series of fewer than 25 values has none.
std::vector<Outlier> find_outliers(const std::vector<data::StepMetrics>& metrics, double smallest_z);

}  // namespace nkat::validation
