// The tensors of a phi3 GGUF file: names, order, shapes, and where each one comes from (formats.md 5.4).
//
// First the rope factors of a longrope model, then embedding, layers, final norm and output.weight, which is written
// for tied models too: older loaders ask for it. llama.cpp refuses a file with any further tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "export/gguf/quantization_recipe.h"
#include "models/config.h"

namespace nkat::exporting {

struct Phi3Tensor {
  std::string name;    // in the GGUF file
  std::string source;  // in the checkpoint; empty: `values` are its content
  std::vector<float> values = {};
  TensorRole role = TensorRole::kVector;
  std::int64_t layer = -1;
  std::vector<std::uint64_t> ne = {};  // ggml's order: the row length first
};

std::vector<Phi3Tensor> phi3_tensors(const models::Phi3Config& config);

// Refuses, by name, what llama.cpp's phi3 can't express (FormatError). where: the model folder.
void require_expressible(const models::Phi3Config& config, const std::string& where);

}  // namespace nkat::exporting
