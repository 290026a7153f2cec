// What a task measures: a model with or without an adapter, opened once for all tasks of a command.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/adapter_set.h"
#include "models/model_folder.h"

namespace nkat::validation {

struct SubjectOptions {
  std::string model_path;
  std::string adapter = "";  // "" for the bare model
  std::string precision = "auto";
  std::string device = "auto";
};

struct Subject {
  models::Phi3Config config;
  models::TextSide text;
  models::Decoder decoder;
  models::AdapterSet adapter;      // undefined tensors without one
  std::vector<at::Tensor> blocks;  // by layer, on the decoder's device; empty without an adapter

  bool has_adapter() const { return !blocks.empty(); }
};

// Refuses an adapter of another base (DataError) or shape (ShapeError). Config, tokenizer and adapter are read before
// any weight.
Subject open_subject(const SubjectOptions& options);

}  // namespace nkat::validation
