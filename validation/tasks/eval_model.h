// The model under evaluation, with or without an adapter. It is opened once for all tasks of a command, in two steps,
// so that a mistake in the data shows before any weight is read.
//
// A task has two steps as well: prepare_..._task reads and checks its data, for which EvalInputs are enough; the
// EvalTask that it returns runs on the model and fills its part of the results.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "models/device.h"
#include "models/model_folder.h"
#include "validation/tasks/eval_results.h"

namespace nkat::validation {

struct EvalModelOptions {
  std::string model_path;
  std::string adapter = "";  // "" for the bare model
  std::string device = "auto";
  models::Precision precision = models::Precision::kAuto;
  models::BaseFormat base = models::BaseFormat::kSafe;
};

// Everything but the weights.
struct EvalInputs {
  EvalModelOptions options;
  models::ModelConfig config;
  models::TextProcessor text;
  at::Device device;
  at::ScalarType precision;
  models::LoadedAdapter adapter = {};  // undefined tensors without one

  bool has_adapter() const { return adapter.adapter.alpha.defined(); }
};
// Reads config, tokenizer and adapter. ShapeError for an adapter of another shape, FormatError for one with NaN or
// infinite values.
EvalInputs read_eval_inputs(const EvalModelOptions& options);

struct EvalModel {
  models::ModelConfig config;
  models::TextProcessor text;
  models::Decoder decoder;
  models::Adapter adapter;         // undefined tensors without one
  std::vector<at::Tensor> blocks;  // M by layer, on the decoder's device; empty without an adapter

  bool has_adapter() const { return !blocks.empty(); }
};
// Reads the weights. DataError for an adapter of another base.
EvalModel open_eval_model(EvalInputs inputs);

using EvalTask = std::function<void(const EvalModel&, EvalResults&)>;

}  // namespace nkat::validation
