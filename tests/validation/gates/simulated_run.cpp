#include "tests/validation/gates/simulated_run.h"

#include <cmath>
#include <numbers>

#include "core/random.h"

namespace nkat::validation {
namespace {

using Mean = std::function<double(std::int64_t)>;

Mean constant(double value) {
  return [=](std::int64_t) { return value; };
}

// From the first step of each entry on, its value.
Mean levels(std::vector<std::pair<std::int64_t, double>> changes) {
  return [=](std::int64_t step) {
    double value = 0.0;
    for (const auto& [first, level] : changes) value = step >= first ? level : value;
    return value;
  };
}

Mean line(double from, double to) {
  return [=](std::int64_t step) {
    return from + (to - from) * static_cast<double>(step - 1) / static_cast<double>(kSimulatedSteps - 1);
  };
}

Mean decay(double base, double height, double time) {
  return [=](std::int64_t step) { return base + height * std::exp(-static_cast<double>(step) / time); };
}

Mean sine(double base, double height, double period) {
  return [=](std::int64_t step) {
    return base + height * std::sin(2.0 * std::numbers::pi * static_cast<double>(step) / period);
  };
}

double student_3(RandomStream& random) {
  const double numerator = random.normal();
  double squares = 0.0;
  for (int i = 0; i < 3; ++i) {
    const double normal = random.normal();
    squares += normal * normal;
  }
  return numerator / std::sqrt(squares / 3.0);
}

struct Adam {
  double alpha = -5.0;
  double first = 0.0;
  double second = 0.0;
  double first_decay = 1.0;  // beta^t
  double second_decay = 1.0;

  void step(double gradient) {
    first = 0.9 * first + 0.1 * gradient;
    second = 0.999 * second + 0.001 * gradient * gradient;
    first_decay *= 0.9;
    second_decay *= 0.999;
    alpha -= 5e-3 * (first / (1.0 - first_decay)) / (std::sqrt(second / (1.0 - second_decay)) + 1e-12);
  }
};

}  // namespace

GateSeries simulate(const PlantedForce& planted, std::uint64_t seed, std::uint64_t number) {
  RandomStream random(seed, "simulated-run " + planted.name, number);
  const NoiseModel& noise = planted.noise;
  const double innovation = std::sqrt(1.0 - noise.correlation * noise.correlation);
  GateSeries series;
  series.layer = 0;
  Adam adam;
  double state = random.normal();
  for (std::int64_t step = 1; step <= kSimulatedSteps; ++step) {
    const double draw = noise.student ? student_3(random) : random.normal();
    state = noise.correlation * state + innovation * draw;
    const double force = planted.mean(step) + noise.sigma * (noise.factor ? noise.factor(step) : 1.0) * state;
    const double gate = 1.0 / (1.0 + std::exp(-adam.alpha));
    series.steps.push_back(step);
    series.gate.push_back(gate);
    series.force.push_back(force);
    adam.step(-force * gate * (1.0 - gate));
  }
  return series;
}

std::vector<PlantedForce> null_rows() {
  const auto factor_from = [](std::int64_t first, double factor) {
    return [=](std::int64_t step) { return step >= first ? factor : 1.0; };
  };
  const auto factor_until = [](std::int64_t last, double factor) {
    return [=](std::int64_t step) { return step <= last ? factor : 1.0; };
  };
  return {
      {"0", constant(0.0)},
      {"0.3", constant(0.3)},
      {"1", constant(1.0)},
      {"falling 1 to 0.2", line(1.0, 0.2)},
      {"-0.15", constant(-0.15)},
      {"-0.5 to -0.2 at 800", levels({{1, -0.5}, {800, -0.2}})},
      {"AR(1) 0.3", constant(0.0), {.correlation = 0.3}},
      {"AR(1) 0.6", constant(0.0), {.correlation = 0.6}},
      {"Student t, 3 degrees", constant(0.0), {.student = true}},
      {"0.3, noise x3 from 800", constant(0.3), {.factor = factor_from(800, 3.0)}},
      {"0.3, noise x3 in the last 10 %", constant(0.3), {.factor = factor_from(1801, 3.0)}},
      {"0.3, noise x3 in the first 200", constant(0.3), {.factor = factor_until(200, 3.0)}},
      {"1, noise x3 in the first 200", constant(1.0), {.factor = factor_until(200, 3.0)}},
      {"0.3, noise x5 in the first 100", constant(0.3), {.factor = factor_until(100, 5.0)}},
      {"1, noise x5 in the first 100", constant(1.0), {.factor = factor_until(100, 5.0)}},
      {"1 + 4 exp(-t/150)", decay(1.0, 4.0, 150.0)},
      {"1 and a sine of 0.05, noise 0.1", sine(1.0, 0.05, 1000.0), {.sigma = 0.1}},
      {"1, then 1.5 from 1500", levels({{1, 1.0}, {1500, 1.5}})},
  };
}

std::vector<PlantedForce> step_rows() {
  return {
      {"0 to 0.3 at 800", levels({{800, 0.3}}), {}, 800},
      {"0.1 to 0.5 at 800", levels({{1, 0.1}, {800, 0.5}}), {}, 800},
      {"-0.2 to 0.6 at 800", levels({{1, -0.2}, {800, 0.6}}), {}, 800},
      {"-0.2, 0.6 from 600, 0.05 from 1000", levels({{1, -0.2}, {600, 0.6}, {1000, 0.05}}), {}, 600},
  };
}

std::vector<PlantedForce> ramp_rows() { return {{"ramp 0 to 0.5", line(0.0, 0.5)}, {"ramp 0 to 1", line(0.0, 1.0)}}; }

PlantedForce unresolvable_row() { return {"AR(1) 0.9", constant(0.0), {.correlation = 0.9}}; }

PlantedForce opened_then_shut_row() {
  return {"0.6, -0.8 from 950, -0.2 from 1600", levels({{1, 0.6}, {950, -0.8}, {1600, -0.2}})};
}

}  // namespace nkat::validation
