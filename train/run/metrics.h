// metrics.jsonl of a run that is being trained: one line for each optimizer step, across stops and resumes exactly one
// each.
#pragma once

#include <cstdint>
#include <vector>

#include "core/files/atomic_file.h"
#include "data/run/step_metrics.h"

namespace nkat::train {

using data::StepMetrics;

// The file of a run. Opening it for step `last_step` keeps the lines 1..last_step and cuts what follows; a line that is
// missing below it is a DataError, as is one whose lists are not of `layers` numbers.
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

}  // namespace nkat::train
