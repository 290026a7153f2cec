// The tensors of a phi3 GGUF file in their order: type, sizes, and where each one's values come from
// (data/FORMATS.md 5.4).
//
// First the rope factors of a longrope model, then embedding, layers, final norm and output.weight, which is written
// for tied models too: older loaders ask for it. llama.cpp refuses a file with any further tensor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/formats/gguf_writer.h"
#include "export/gguf/quantization_recipe.h"
#include "models/tensor_table.h"

namespace nkat::exporting {

struct PlannedTensor {
  gguf::GgufTensorPlan file;  // its type is the requested one, or what rows of this length fall back to
  gguf::GgmlType requested = gguf::GgmlType::kF32;
  // The merged weights; nothing for `values`, or for a tensor that a patch copies.
  std::optional<models::TensorSpec> source = std::nullopt;
  std::vector<float> values = {};
};

std::vector<PlannedTensor> plan_tensors(const models::ModelConfig& config, QuantizationRecipe recipe);

// A layer's tensor without the layer: "ffn_down.weight".
std::string kind_of(const PlannedTensor& planned);

// "ffn_down.weight: q4_K as q5_0, rows of 96 (6)": one line per kind of tensor, none if nothing falls back.
std::vector<std::string> fallbacks(const std::vector<PlannedTensor>& plan);
std::vector<gguf::GgufTensorPlan> file_plan(const std::vector<PlannedTensor>& plan);
// Is the tensor of that file the planned one, by name, type and sizes?
bool is_planned(const gguf::GgufTensor& found, const PlannedTensor& planned);

// FormatError naming what llama.cpp's phi3 can't express. where: the model folder.
void require_expressible(const models::ModelConfig& config, const std::string& where);

}  // namespace nkat::exporting
