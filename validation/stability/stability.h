// How steady a run was: spikes, skipped steps, divergence, convergence, overfitting, memory and speed, from its
// metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "validation/run/run_reader.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct Outlier {
  std::int64_t step = 0;
  std::string what = {};  // "loss", "gradient norm"
  double value = 0.0;
  double z = 0.0;  // robust: distance from the running median over 1.4826 MAD of the residuals (outliers.h)
};

struct Convergence {
  std::int64_t steps = 0;        // of the last fifth
  Estimate slope = {};           // nats a step
  double relative_change = 0.0;  // |slope| n/5 over the loss
  bool converged = false;
};

struct Overfitting {
  double validation_last = 0.0;
  double validation_lowest = 0.0;
  std::int64_t lowest_step = 0;
  double rise = 0.0;  // last over lowest, less 1
  // Slope of (validation - training loss), nats a step; absent where fewer than two have finite training losses beside.
  std::optional<Estimate> gap_trend = std::nullopt;
  std::optional<std::int64_t> turn_step = std::nullopt;  // first step from which validation only lies above its lowest
  bool overfitted = false;
};

struct SpeedPhase {
  std::string name = {};  // "rate warm-up", "lambda annealing", "full lambda"; "all steps" where settings are unknown
  std::int64_t from = 0;
  std::int64_t to = 0;
  double tokens_per_second = 0.0;  // all tokens over all seconds
};

struct StabilityOptions {
  double spike_z = 8.0;
  double converged_change = 0.01;  // of the loss
  double overfitting_rise = 0.02;
};

struct StabilityReport {
  std::vector<Outlier> spikes = {};
  std::vector<std::pair<std::int64_t, std::string>> skipped = {};  // step, reason
  // First step from which the loss stays above its start, or is not finite, to the end (loss_trends.h).
  std::optional<std::int64_t> diverged_at = std::nullopt;
  std::optional<Convergence> convergence = {};
  std::string why_no_convergence = {};          // why it is absent: "no finite losses in the last 40 steps"
  std::optional<Overfitting> overfitting = {};  // absent without at least three validation losses
  double loss_first = 0.0;                      // both NaN where no loss is finite
  double loss_last = 0.0;                       // mean of the last fifth
  std::uint64_t peak_memory_bytes = 0;
  // Of the steps alone: validations and checkpoints, which the run's clock counts, too, are not in the metrics.
  double hours = 0.0;          // of the steps so far
  double hours_planned = 0.0;  // for max_steps, at the mean rate so far
  std::vector<SpeedPhase> phases = {};
};

// A run whose metrics are series only has nothing to report: std::nullopt.
std::optional<StabilityReport> analyze_stability(const RunRecords& run, const StabilityOptions& options);

}  // namespace nkat::validation
