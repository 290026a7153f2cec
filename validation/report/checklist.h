// The checklist of a report: thirteen claims about a run, each measured against a threshold, or not measured and the
// command that would measure it. Checks that need the GPU stay unmeasured for a run on a CPU.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/cli/options.h"
#include "validation/stability/stability.h"
#include "validation/statistics/interval.h"

namespace nkat::validation {

struct Findings;

enum class CheckStatus { kPass, kFail, kNotMeasured };
const char* status_name(CheckStatus status);  // "not measured"

// A line of the checklist.
struct Check {
  std::string name;
  std::optional<double> value = std::nullopt;
  std::optional<Interval> interval = std::nullopt;
  std::string threshold = {};  // "<= 0.05"
  CheckStatus status = CheckStatus::kNotMeasured;
  std::string note = {};     // what the value is, with its unit
  std::string command = {};  // that would measure what was not
};

struct Thresholds {
  double alpha_start = 0.05;         // |alpha - alpha-init| at the first step
  double opened_layers = 0.5;        // share of the layers whose gate opened
  double tau_width = 0.2;            // width of tau's interval, share of the run
  double significance = 0.05;        // McNemar's p of the reasoning gain
  double rotation_error = 1e-6;      // ||R^T R - I|| and |det R - 1|
  double triality = 1.0;             // mean over layers at the last checkpoint; unrelated rotations have 2.0
  double hours = 12.0;               // for all steps
  double final_loss = 1.0;           // last validation loss, nats per target token
  double general_loss_change = 0.1;  // on general text, nats per target token
  StabilityOptions stability = {};
};
void declare_thresholds(OptionList& options, Thresholds& thresholds);

std::vector<Check> make_checklist(const Findings& findings, const Thresholds& thresholds);

}  // namespace nkat::validation
