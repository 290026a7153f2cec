// What a run left behind, read for validation: its metrics, its settings and its checkpoints, finished or not.
//
// Given: a run folder, its checkpoints/, or any folder that holds metrics.jsonl. metrics.jsonl is used where present
// (an unfinished last line is ignored); without it the series of the newest valid checkpoint take its place, and only
// step, alpha and gate_force of the metrics are known. Nothing is locked or written, so a run that is going on can be
// read. Errors: DataError if there is nothing to read, FormatError for what is damaged or disagrees: each names file
// and line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/run/run_config.h"
#include "data/run/step_metrics.h"

namespace nkat::validation {

using data::Control;
using data::kControlNames;
using data::RunSettings;

struct SavedCheckpoint {
  std::int64_t step = 0;
  fs::path path = {};
};

struct RunRecords {
  fs::path folder = {};   // as given
  fs::path root = {};     // the run folder, the same for every path that leads to it or to its checkpoints/
  std::string name = {};  // for tables: the run folder's own name
  RunSettings settings;
  std::int64_t first_layer = 0;  // number of the first layer with an adapter
  std::vector<data::StepMetrics> metrics =
      {};                    // of steps 1, 2, ...; every line has alpha and gate_force of as many layers
  bool series_only = false;  // metrics come from a checkpoint: only step, alpha, gate_force are known
  std::vector<SavedCheckpoint> checkpoints = {};  // that verify, ascending
  std::vector<std::string> damaged = {};          // one message for each checkpoint passed over

  std::int64_t layers() const { return metrics.empty() ? 0 : static_cast<std::int64_t>(metrics.front().alpha.size()); }
  // Its last line is that of max_steps or of an early end; unknown without settings.
  std::optional<bool> finished() const;
};

RunRecords read_run(const fs::path& folder);

}  // namespace nkat::validation
