// Runs with a planted force, for measuring how often the gate analysis errs (layers/MATHEMATICS.md 6.9).
//
// The force is a mean that is known at every step plus noise; it doesn't depend on the gate. Adam (0.9, 0.999) at rate
// 5e-3 drives alpha from -5 by the gradient -force sigma(1 - sigma). Same name, seed and number, same run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "validation/gates/gate_analysis.h"

namespace nkat::validation {

inline constexpr std::int64_t kSimulatedSteps = 2000;

struct NoiseModel {
  double sigma = 1.0;
  double correlation = 0.0;                              // AR(1); the variance stays sigma^2
  bool student = false;                                  // Student t with 3 degrees of freedom, times sigma
  std::function<double(std::int64_t)> factor = nullptr;  // of sigma at a step; 1 if absent
};

// A row of the table of validation/gates/README.md.
struct PlantedForce {
  std::string name;                          // as in the table
  std::function<double(std::int64_t)> mean;  // of step 1 ... kSimulatedSteps
  NoiseModel noise = {};
  std::optional<std::int64_t> tau = std::nullopt;  // first step after the rise, where it has one
};

GateSeries simulate(const PlantedForce& planted, std::uint64_t seed, std::uint64_t number);

std::vector<PlantedForce> null_rows();  // no rise opens the gate
std::vector<PlantedForce> step_rows();  // a step does
std::vector<PlantedForce> ramp_rows();  // a slow rise does
PlantedForce unresolvable_row();        // AR(1) 0.9
PlantedForce opened_then_shut_row();

}  // namespace nkat::validation
