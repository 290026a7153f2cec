// A gain report as `nkat eval` prints it: JSON for programs and text for people.
//
// JSON: the held-out loss's keys stand at the top ("tokens", "loss", ..); "general" holds the same keys, "ablation" is
// a list of layers, "decision" and "math" are objects. An interval is [low, high], or null where there are too few
// samples for one; what was not measured is absent; what is not finite is null.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "validation/report/eval_results.h"

namespace nkat::validation {

nlohmann::ordered_json to_json(const EvalResults& report);
nlohmann::ordered_json to_json(const LossFinding& finding);
nlohmann::ordered_json to_json(const DecisionFinding& finding);
nlohmann::ordered_json to_json(const MathFinding& finding);
nlohmann::ordered_json to_json(const LayerAblation& ablation);

// Lines that end in "\n".
std::string to_text(const EvalResults& report);

}  // namespace nkat::validation
