// training.png: loss, gates by layer, λ with triality, and memory over the steps of a run.
#pragma once

#include <vector>

#include "core/files/file.h"
#include "train/run/metrics.h"

namespace nkat::train {

// Needs gnuplot; without it, or if it fails, a warning is logged and nothing is written.
void plot_training(const std::vector<StepMetrics>& history, std::int64_t first_layer, const fs::path& path);

}  // namespace nkat::train
