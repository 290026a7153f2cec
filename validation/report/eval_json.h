// Evaluation results as JSON.
//
// The held-out loss's keys are at the top ("tokens", "loss", ..); "general" holds the same keys, "ablation" is a list
// of layers, "decision" and "math" are objects. An interval is [low, high], or null with too few samples for one. What
// was not measured is absent; what is not finite is null.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "validation/tasks/eval_results.h"

namespace nkat::validation {

nlohmann::ordered_json to_json(const EvalResults& results);
nlohmann::ordered_json to_json(const LossFinding& finding);
nlohmann::ordered_json to_json(const DecisionFinding& finding);
nlohmann::ordered_json to_json(const MathFinding& finding);
nlohmann::ordered_json to_json(const LayerAblation& ablation);

}  // namespace nkat::validation
