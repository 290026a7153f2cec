// The plots of a validation: PNG files, 800 pixels wide.
#pragma once

#include <array>
#include <vector>

#include "validation/report/document.h"
#include "validation/report/findings.h"

namespace nkat::validation {

// The plot of the transition: order parameter with its crossings, force on the gates (sum over layers) with its fitted
// levels, susceptibility; with tau. False, after a warning, if it couldn't be drawn.
bool plot_phase_transition(const Findings& findings, const fs::path& path);

// The files that draw_plots makes.
inline constexpr std::array kPlotNames = {"gates.png",    "forces.png", "angles.png",
                                          "triality.png", "loss.png",   "memory.png"};

// Draws the others into `folder`, which it creates: gates by layer and step, forces with their levels, angles,
// triality, loss, memory, as far as the run has them. Returns those that could be drawn.
std::vector<Image> draw_plots(const Findings& findings, const fs::path& folder);

}  // namespace nkat::validation
