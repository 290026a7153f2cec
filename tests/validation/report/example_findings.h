// Findings of a small run, as the report's tests need them: 4 layers, 200 steps, a transition at step 80.
#pragma once

#include <cmath>

#include "validation/report/checklist.h"
#include "validation/report/findings.h"

namespace nkat::validation::testing {

inline Findings example_findings() {
  constexpr std::int64_t kSteps = 200, kLayers = 4, kTau = 80;
  Findings findings;
  findings.run.folder = "runs/example";
  findings.run.name = "example";
  findings.run.settings.alpha_init = -5.0;
  findings.run.settings.max_steps = kSteps;
  findings.run.settings.device = "cpu";
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    data::StepMetrics line{.step = step,
                           .loss = 3.0 / std::sqrt(static_cast<double>(step)),
                           .triality = 0.1,
                           .tokens = 100,
                           .step_seconds = 0.1,
                           .memory_bytes = 1 << 20};
    const double alpha = step < kTau ? -5.0 : -5.0 + 0.05 * static_cast<double>(step - kTau);
    line.alpha.assign(kLayers, alpha);
    line.gate_force.assign(kLayers, step < kTau ? 0.0 : 0.5);
    if (step % 50 == 0) line.validation_loss = line.loss + 0.1;
    findings.run.metrics.push_back(line);
    findings.gates.steps.push_back(step);
    findings.gates.order_parameter.push_back(1 / (1 + std::exp(-alpha)));
    if (step > 1)
      findings.gates.susceptibility.push_back(
          findings.gates.order_parameter.back() -
          findings.gates.order_parameter[findings.gates.order_parameter.size() - 2]);
  }
  GateFinding finding;
  finding.verdict = Verdict::kTransition;
  finding.shape = RiseShape::kAbrupt;
  finding.tau = kTau;
  finding.tau_interval = Interval{75, 85};
  finding.opened_at = 130;
  finding.gate_first = 0.0067;
  finding.gate_max = finding.gate_last = findings.gates.order_parameter.back();
  finding.levels = {{.from = 1, .to = kTau - 1, .force = 0.0, .interval = {-0.01, 0.01}},
                    {.from = kTau, .to = kSteps, .force = 0.5, .interval = {0.49, 0.51}}};
  finding.usable_steps = kSteps;
  findings.gates.sum = finding;
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    finding.layer = layer;
    findings.gates.layers.push_back(finding);
    for (const std::int64_t step : {0, 100, 200})
      findings.geometry.push_back({.step = step,
                                   .layer = layer,
                                   .exact = {.orthogonality_max = 1e-15, .triality = 0.2},
                                   .angle_max = 0.01 * static_cast<double>(step)});
  }
  std::ranges::stable_sort(findings.geometry, {}, &GeometryRow::step);
  findings.gates.crossings = {100, 120, std::nullopt};
  findings.gates.max_susceptibility_step = 180;
  findings.stability = StabilityResults{};
  findings.stability->peak_memory_bytes = 1 << 20;
  return findings;
}

inline Findings checked_findings() {
  Findings findings = example_findings();
  findings.checks = make_checklist(findings, {});
  return findings;
}

}  // namespace nkat::validation::testing
