// Loss with and without the adapter on the same tokens, and how far the adapter moved the predictions.
#pragma once

#include <vector>

#include "models/evaluation.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

// By sample, in the dataset's order.
struct PairedLosses {
  models::LossReport base;
  models::LossReport adapted;
  std::vector<models::SampleLoss> divergence;  // KL(base||adapted), nats over the sample's targets
};

// Takes two forward passes over the data and the hidden states of both at once; the subject must have an adapter.
// Losses are those of models::evaluate_loss, bit for bit. Throws Interrupted when a stop was asked for.
PairedLosses evaluate_paired(const EvalModel& subject, const data::Dataset& dataset,
                             const models::EvaluationOptions& options);

}  // namespace nkat::validation
