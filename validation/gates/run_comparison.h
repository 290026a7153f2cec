// A run compared with others: the spread of tau over seeds, and controls (ablations), in which the effect should be
// absent.
//
// The effect is a transition. The gates of a frozen-gates control can't open, so rises of the force (findings with a
// tau) are compared there instead. A control decides nothing about a layer that is unresolved there; and, without the
// effect, nothing while it is unfinished or if it ends before the layer's gate opened here (with frozen gates: before
// tau).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "validation/gates/gate_verdict.h"
#include "validation/run/run_reader.h"

namespace nkat::validation {

struct BaselineRun {
  std::string name = {};
  Control control = Control::kNone;
  std::optional<std::int64_t> seed = std::nullopt;
  GateResults gates = {};
};

// Of one layer, or of the sum (layer -1), over RunComparison::spread_runs.
struct TauSpread {
  std::int64_t layer = -1;
  std::vector<std::optional<std::int64_t>> tau = {};  // one per run: of its transition, if it has one
  std::int64_t transitions = 0;
  double median = 0.0;  // 0 without any tau
  double range = 0.0;   // largest - smallest
};

// Lists of layers; -1 is the sum.
struct ControlResult {
  std::string name = {};
  Control control = Control::kNone;
  bool by_rise = false;                        // rises of the force are compared, not transitions
  std::vector<std::int64_t> in_both = {};      // the effect is in the analyzed run and in the control
  std::vector<std::int64_t> only_here = {};    // absent in the control
  std::vector<std::int64_t> only_there = {};   // in the control alone
  std::vector<std::int64_t> not_decided = {};  // the effect is in the analyzed run; the control doesn't decide
  std::vector<std::int64_t> unresolved = {};   // in the control
  std::int64_t last_step = 0;                  // of the control
  bool finished = true;                        // the control is, or nobody knows

  bool decided() const { return not_decided.empty(); }
};

struct RunComparison {
  std::vector<BaselineRun> runs = {};        // the others, in the order given
  std::vector<ControlResult> controls = {};  // by control that was given
  std::vector<TauSpread> spreads = {};       // the sum first, then the layers; empty if all runs are controls
  std::vector<std::string> spread_runs =
      {};  // the runs without a control: "seed1, seed 1"; the name alone where the seed is unknown
  bool spread_includes_main = true;  // the analyzed run is the first of them; a control isn't one
};

// Sets `specific` of main's transitions where identity controls are among the others and main is no control itself:
// true if it is absent in all of them, null if one of them doesn't decide. ShapeError, naming both runs, if they have
// other layers.
RunComparison compare_runs(GateResults& main, const RunRecords& main_run, std::vector<BaselineRun> others);

}  // namespace nkat::validation
