// A task of `nkat eval` in two steps: prepare_..._task reads and checks its data, which needs no weights; the
// measurement that it returns fills its part of the report.
#pragma once

#include <functional>

#include "validation/report/eval_results.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

using Measurement = std::function<void(const EvalModel&, EvalResults&)>;

}  // namespace nkat::validation
