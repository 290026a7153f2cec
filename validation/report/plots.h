// The plots of a validation: PNG files, 800 pixels wide.
#pragma once

#include <array>
#include <vector>

#include "validation/report/document.h"
#include "validation/report/findings.h"

namespace nkat::validation {

// Order parameter, its crossings and its susceptibility, with tau: the plot of the transition.
bool plot_phase_transition(const Findings& findings, const fs::path& path);

// The files that draw_plots makes.
inline constexpr std::array kPlotNames = {"gates.png",    "forces.png", "angles.png",
                                          "triality.png", "loss.png",   "memory.png"};

// Draws the others into `folder` (created): gates by layer and step, forces with their levels, angles, triality, loss,
// memory, as far as the run has them. Returns those that worked, with captions.
std::vector<Image> draw_plots(const Findings& findings, const fs::path& folder);

}  // namespace nkat::validation
