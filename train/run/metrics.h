// metrics.jsonl of a run that is being trained: exactly one line per optimizer step, across stops and resumes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/files/atomic_file.h"
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

}  // namespace nkat::train
