// Everything that a validation found about a run: what the report, its plots and its JSON are made from.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "validation/gates/run_comparison.h"
#include "validation/geometry/geometry_report.h"
#include "validation/report/eval_results.h"
#include "validation/stability/stability.h"

namespace nkat::validation {

enum class CheckStatus { kPass, kFail, kNotMeasured };
const char* status_name(CheckStatus status);  // "not measured"

// A line of the checklist.
struct Check {
  std::string name;
  std::optional<double> value = std::nullopt;
  std::optional<Interval> interval = std::nullopt;
  std::string threshold = {};  // "<= 0.05"
  CheckStatus status = CheckStatus::kNotMeasured;
  std::string note = {};     // what the value is, in words and with its unit
  std::string command = {};  // of what was not measured: what would measure it
};

struct Findings {
  RunRecords run = {};
  GateReport gates = {};
  std::optional<RunComparison> comparison = std::nullopt;
  std::vector<GeometryRow> geometry = {};
  std::optional<StabilityReport> stability = std::nullopt;
  EvalResults gain = {};
  std::vector<Check> checks = {};
};

}  // namespace nkat::validation
