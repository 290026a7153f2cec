// Plots of the gates: what plots.h draws from a GateReport.
#pragma once

#include "validation/report/findings.h"

namespace nkat::validation {

bool plot_gate_map(const Findings& findings, const fs::path& path);
bool plot_forces(const Findings& findings, const fs::path& path);

}  // namespace nkat::validation
