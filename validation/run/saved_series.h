// What a run recorded of each step: the gates and forces in a checkpoint's trainer state with the metrics line that a
// stop left unfinished (layout: train/run/checkpoint.h), and metrics.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/files/file.h"
#include "data/run/step_metrics.h"

namespace nkat::validation {

// Rows are steps, columns the layers with an adapter.
struct SavedSeries {
  std::int64_t first_step = 1;  // of the first row
  std::int64_t layers = 0;
  std::vector<float> alpha = {};       // (rows, layers)
  std::vector<float> gate_force = {};  // (rows, layers); NaN in skipped steps

  std::int64_t rows() const { return static_cast<std::int64_t>(alpha.size()) / layers; }
};

enum class Rows { kAll, kLast };

// FormatError naming file and tensor if the series are not those of `step` steps with `layers` layers each,
// or a gate is no number.
SavedSeries read_saved_series(const fs::path& checkpoint, std::int64_t step, std::int64_t layers, Rows rows);

// The line of `step` when a signal came before its validation ended. FormatError if the state is of another step,
// or the line's lists are not of `layers` numbers.
std::optional<data::StepMetrics> read_pending_metrics(const fs::path& checkpoint, std::int64_t step,
                                                      std::int64_t layers);

// FormatError naming checkpoint, step, layer and both values at the first difference beyond float32 rounding, or if
// metrics end before the series do. first_layer: number of column 0.
void require_agreement(const SavedSeries& saved, const fs::path& checkpoint, std::span<const data::StepMetrics> metrics,
                       const fs::path& metrics_file, std::int64_t first_layer);

// A run's metrics.jsonl: complete lines for the steps 1, 2, 3, ..., all with the same number of layers. A last line
// without newline is still being written and is ignored.

// FormatError with file and line for a line that is damaged, out of order, of another number of layers, or whose alpha
// is not finite; a force may be null in a skipped step only.
std::vector<data::StepMetrics> read_metrics_file(const fs::path& path);

}  // namespace nkat::validation
