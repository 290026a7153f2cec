// Which gates carry the gain: the loss with one layer's gate shut, for every layer that has one.
//
// In each pass the state below a layer is computed once, with the whole adapter; from there the layers above run again
// with that layer's block left out. That is half the work of a forward pass for each layer, and one more for the whole.
#pragma once

#include <functional>
#include <vector>

#include "models/evaluation.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

struct AblatedLosses {
  models::LossReport whole;                 // with all gates as they are
  std::vector<models::LossReport> without;  // by layer from the adapter's first up, that one's gate shut
};

// progress: (done, total) in samples times layers. The subject must have an adapter. Losses are those that
// models::evaluate_loss gives with the block undefined, bit for bit. Throws Interrupted when a stop was asked for.
AblatedLosses ablate_layers(const EvalModel& subject, const data::Dataset& dataset,
                            const std::function<void(std::int64_t, std::int64_t)>& progress);

}  // namespace nkat::validation
