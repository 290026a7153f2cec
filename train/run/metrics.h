// What a run being trained tells its reader: metrics.jsonl, exactly one line per optimizer step across stops and resumes,
// and summary.json, the run in one object derived from those lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/files/atomic_file.h"
#include "models/adapter.h"
#include "train/trainer_state.h"

namespace nkat::train {

// The file of a run. Opening it for step `last_step` keeps the lines 1..last_step and cuts what follows. DataError when
// one of them is missing or its lists don't hold `layers` numbers.
class MetricsLog {
 public:
  MetricsLog(const fs::path& path, std::int64_t last_step, std::int64_t layers);
  void append(const StepMetrics& metrics);
  // Makes every line so far survive a power cut.
  void sync() { file_.sync(); }
  // All lines from the first step on.
  const std::vector<StepMetrics>& history() const { return history_; }

 private:
  std::vector<StepMetrics> history_;
  AppendFile file_;
};

// summary.json. A step was clipped if its norm is above max_grad_norm (0: clipping is off). A gate is open when sigma(alpha) > 0.5.
struct RunSummary {
  std::int64_t steps = 0;
  std::string stopped;  // "finished", "early", "signal" or why
  double loss_first = 0.0;
  double loss_last = 0.0;
  std::optional<double> validation_loss_first;  // at the first validation
  std::optional<double> validation_loss_best;
  std::optional<std::int64_t> best_step;
  double seconds = 0.0;  // of all steps, without validation and checkpoints
  std::int64_t tokens = 0;
  std::uint64_t peak_memory_bytes = 0;
  std::int64_t open_gates = 0;
  std::int64_t clipped_steps = 0;
  std::int64_t skipped_steps = 0;
};

// Validation losses of steps up to `validation_since` don't count: they are of other data.
RunSummary summarize(const std::vector<StepMetrics>& history, const models::Adapter& adapter, double max_grad_norm,
                     std::int64_t validation_since);
std::string to_json_text(const RunSummary& summary);

}  // namespace nkat::train
