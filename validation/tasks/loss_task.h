// `nkat eval --task loss`: held-out loss with and without the adapter, the same on general text (to measure
// forgetting), and leave-one-layer-out ablation; and the measurements behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/datasets/dataset_options.h"
#include "models/evaluation.h"
#include "validation/tasks/eval_model.h"

namespace nkat::validation {

struct LossTaskOptions {
  data::DatasetOptions dataset = {};           // files: the held-out ones; none: not measured
  std::vector<std::string> general_data = {};  // none: not measured
  bool ablate_layers = false;                  // needs an adapter and held-out files
};

// Reads the data; errors as data::Dataset. The measurement fills held_out, general and ablation; it throws DataError
// "file:line" for a sample whose loss is not finite and Interrupted if a stop was requested.
EvalTask prepare_loss_task(const LossTaskOptions& options, const EvalInputs& inputs);

// Losses of one model on the same tokens: with its adapter, without it, and with the gates closed one at a time. They
// equal those of models::evaluate_loss, bit for bit. Interrupted if a stop was requested.

// By sample, in the dataset's order.
struct PairedLosses {
  models::LossReport base;
  models::LossReport adapted;
  std::vector<models::SampleLoss> divergence;  // KL(base || adapted), nats over the sample's targets
};

// Two forward passes over the data, with both hidden states in memory at once; the model must have an adapter.
PairedLosses evaluate_paired(const EvalModel& model, const data::Dataset& dataset,
                             const models::EvaluationOptions& options);

struct AblatedLosses {
  models::LossReport whole;                 // all gates as they are
  std::vector<models::LossReport> without;  // by layer from the adapter's first, that layer's gate closed
};

// Leave-one-layer-out ablation. In each pass the state below a layer is computed once, with the whole adapter; from
// there the layers above run again without that layer's M: half a forward pass per layer on average, plus one.
// progress: (done, total) in samples times layers. The model must have an adapter.
AblatedLosses ablate_layers(const EvalModel& model, const data::Dataset& dataset,
                            const std::function<void(std::int64_t, std::int64_t)>& progress);

}  // namespace nkat::validation
