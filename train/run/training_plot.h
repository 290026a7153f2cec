// training.png: loss, gates by layer, triality with its weight, and memory over the steps of a run.
#pragma once

#include <vector>

#include "core/files/file.h"
#include "train/run/metrics.h"

namespace nkat::train {

// Logs a warning and writes nothing where gnuplot is missing or fails.
void plot_training(const std::vector<StepMetrics>& history, std::int64_t first_layer, const fs::path& path);

}  // namespace nkat::train
