// Series as plots take them: thinned to what 800 pixels can show.
#pragma once

#include <functional>
#include <vector>

#include "core/plot_page.h"
#include "data/run/step_metrics.h"

namespace nkat::validation {

// (step, value) of every line; where there are more than `most`, means over equal runs of lines, NaN left out.
PlotPoints thinned_series(const std::vector<data::StepMetrics>& metrics,
                          const std::function<double(const data::StepMetrics&)>& value, std::size_t most = 800);
// How many lines one point of it stands for.
std::size_t lines_a_point(std::size_t lines, std::size_t most = 800);

}  // namespace nkat::validation
