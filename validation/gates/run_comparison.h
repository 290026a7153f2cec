// Several runs side by side: the spread of tau over seeds, and controls, in which the effect should be absent.
#pragma once

#include <string>
#include <vector>

#include "validation/gates/gate_report.h"
#include "validation/run_records.h"

namespace nkat::validation {

struct ComparedRun {
  std::string name = {};
  std::string control = {};  // "none" or the control's name
  std::int64_t seed = -1;
  GateReport gates = {};
};

// Of one layer, or of the sum (layer -1), over all runs without a control, the analysed one included.
struct TauSpread {
  std::int64_t layer = -1;
  std::vector<std::int64_t> tau = {};  // of the runs that have one
  std::int64_t runs = 0;
  std::int64_t transitions = 0;
  double median = 0.0;  // of tau; 0 without any
  double range = 0.0;   // largest - smallest
};

struct RunComparison {
  std::vector<ComparedRun> runs = {};   // the others, in the order given
  std::vector<TauSpread> spreads = {};  // the sum first, then the layers
  // By control that was given: the layers that are a transition in the analysed run and in the control, too. Empty
  // list: the effect is absent there.
  struct ControlResult {
    std::string name;
    std::string control;
    std::vector<std::int64_t> transitions_in_both;
    std::int64_t transitions = 0;  // layers with one in the control
    bool run_is_transition = false;
  };
  std::vector<ControlResult> controls = {};
};

// Sets `specific` of main's transitions where an identity control is among the others. ShapeError, naming both runs, if
// they have other layers.
RunComparison compare_runs(GateReport& main, const RunRecords& main_run, std::vector<ComparedRun> others);

}  // namespace nkat::validation
