// The tensors of a GGUF file in their order: type, sizes, and where each one's values come from (data/FORMATS.md 5.4).
//
// First the rope factors of a longrope or llama3 model, then embedding, layers, final norm and output.weight. Of a tied
// model output.weight is left out, and the embedding gets its type, as llama-quantize does; older loaders ask for it.
// llama.cpp refuses a file with any further tensor.
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

enum class TiedHead { kLeftOut, kWritten };
std::vector<PlannedTensor> plan_tensors(const models::ModelConfig& config, QuantizationRecipe recipe,
                                        TiedHead tied_head = TiedHead::kLeftOut);

// "ffn_down.weight: q4_K as q5_0, rows of 96 (6)": one line per kind of tensor, none if nothing falls back.
std::vector<std::string> fallbacks(const std::vector<PlannedTensor>& plan);
std::vector<gguf::GgufTensorPlan> file_plan(const std::vector<PlannedTensor>& plan);
// Is the tensor of that file the planned one, by name, type and sizes?
bool is_planned(const gguf::GgufTensor& found, const PlannedTensor& planned);

// FormatError naming what llama.cpp's architecture can't express. where: the model folder.
void require_expressible(const models::ModelConfig& config, const std::string& where);
// What llama.cpp will compute otherwise beyond some length, as a sentence; empty if nothing.
std::string window_warning(const models::ModelConfig& config);

}  // namespace nkat::exporting
