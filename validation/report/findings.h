// Everything a validation found about a run: the source of the report, its plots and its JSON.
#pragma once

#include <optional>
#include <vector>

#include "validation/gates/run_comparison.h"
#include "validation/geometry/rotation_metrics.h"
#include "validation/report/checklist.h"
#include "validation/stability/stability.h"
#include "validation/tasks/eval_results.h"

namespace nkat::validation {

struct Findings {
  RunRecords run = {};
  GateResults gates = {};
  std::optional<RunComparison> comparison = std::nullopt;
  std::vector<GeometryRow> geometry = {};
  std::optional<StabilityResults> stability = std::nullopt;
  EvalResults eval = {};  // empty without a model
  std::vector<Check> checks = {};
};

}  // namespace nkat::validation
