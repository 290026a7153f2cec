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

}  // namespace nkat::validation
