// What a task measures: a model with or without an adapter, opened once for all tasks of a command, in two steps, so
// that a mistake in the data shows before any weight is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "models/device.h"
#include "models/model_folder.h"

namespace nkat::validation {

struct EvalModelOptions {
  std::string model_path;
  std::string adapter = "";  // "" for the bare model
  std::string device = "auto";
  models::Precision precision = models::Precision::kAuto;
  models::BaseFormat base = models::BaseFormat::kSafe;
};

// All but the weights.
struct EvalInputs {
  EvalModelOptions options;
  models::Phi3Config config;
  models::TextProcessor text;
  at::Device device;
  at::ScalarType precision;
  models::LoadedAdapter adapter = {};  // undefined tensors without one

  bool has_adapter() const { return adapter.adapter.alpha.defined(); }
};
// Reads config, tokenizer and adapter. Refuses an adapter of another shape (ShapeError) or with a number that is not
// finite (FormatError).
EvalInputs open_subject_text(const EvalModelOptions& options);

struct EvalModel {
  models::Phi3Config config;
  models::TextProcessor text;
  models::Decoder decoder;
  models::Adapter adapter;         // undefined tensors without one
  std::vector<at::Tensor> blocks;  // by layer, on the decoder's device; empty without an adapter

  bool has_adapter() const { return !blocks.empty(); }
};
// Reads the weights. Refuses an adapter of another base (DataError).
EvalModel open_subject(EvalInputs text);

}  // namespace nkat::validation
