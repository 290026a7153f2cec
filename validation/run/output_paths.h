// Where a command may write: checked before anything is measured, so that a typing error doesn't cost an hour's result
// and no output overwrites its own input.
#pragma once

#include <string>
#include <vector>

#include "core/files/file.h"

namespace nkat::validation {

struct OutputPath {
  std::string option;  // "--output-report"
  fs::path path;
  std::vector<std::string> endings = {};  // that name its form, in lower case; empty: any
};

// ConfigError for an empty path, another ending, an output that is an input, a file of a run in `runs`, or a second
// output; DataError if its folder is missing, DeviceError if nothing can be written there.
void check_output_paths(const std::vector<OutputPath>& outputs, const std::vector<fs::path>& inputs,
                        const std::vector<fs::path>& runs);

// The outputs beside a report: runs/report.md -> runs/report-plots/ and runs/report-transition.png.
fs::path plot_folder(const fs::path& report);
fs::path default_transition_plot(const fs::path& report);

// ".html" for "Report.HTML".
std::string lower_ending(const fs::path& path);

}  // namespace nkat::validation
