// What the gate analysis says of many simulated runs of one planted force.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tests/validation/gates/simulated_run.h"

namespace nkat::validation {

struct SimulationPlan {
  std::int64_t runs = 1000;
  std::int64_t layers = 1;               // of a run, independent of each other
  std::int64_t steps = kSimulatedSteps;  // the first ones of a simulated run
  std::int64_t replicates = 0;           // of the bootstrap
  std::uint64_t seed = 0;
};

struct SimulatedRates {
  std::int64_t runs = 0;
  std::int64_t series = 0;                   // runs times layers
  std::map<Verdict, std::int64_t> verdicts;  // of the series
  std::int64_t runs_called = 0;              // runs with a layer that is a transition or in progress
  std::int64_t sums_called = 0;              // runs whose sum over layers is one
  std::int64_t sign_changes = 0;             // of the series
  std::int64_t reclosed = 0;
  std::int64_t abrupt = 0;
  std::vector<std::int64_t> tau = {};  // ascending
  std::int64_t intervals = 0;          // series with an interval of tau, and of them those that hold the planted tau
  std::int64_t covering = 0;

  std::int64_t called() const;  // series that are a transition or in progress
  std::int64_t verdict(Verdict verdict) const;
  double share(std::int64_t count) const;         // of the series
  std::int64_t tau_quantile(double share) const;  // -1 without any
  double coverage() const;                        // 0 without an interval
};

// Same plan, same rates, whatever the number of processors.
SimulatedRates measure(const PlantedForce& planted, const SimulationPlan& plan);

}  // namespace nkat::validation
