// The frozen weights of a Phi-3 model, read tensor by tensor into the type and device they compute in.
//
// Sources are F32, F16 or BF16 safetensors, mapped; each tensor's source pages are given back once it is converted, so
// the model is never in memory twice. Matrices above 512 MiB are read in pieces of whole rows, and a matrix that is
// held quantized (weight_format.h) in pieces of 16 MiB, so that memory never holds more than the quantized model and a
// piece. Nothing is allocated before every name and shape has been compared with the config. Errors: FormatError for a
// missing or unexpected tensor, an unusable type or a value that is not finite (found by one sum over each tensor,
// exact search only if that sum is not finite); ShapeError for another shape; Interrupted if a stop is asked for.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/quantized/weight.h"
#include "models/config.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

struct LayerWeights {
  at::Tensor input_norm;            // (H)
  layers::Weight qkv;               // ((heads + 2 kv heads) head_dim, H)
  layers::Weight attention_output;  // (H, heads head_dim)
  at::Tensor post_attention_norm;   // (H)
  layers::Weight gate_up;           // (2F, H): gate rows, then up rows
  layers::Weight down;              // (H, F)
};

// No tensor requires a gradient.
struct Weights {
  at::Tensor embedding;  // (V, H)
  std::vector<LayerWeights> layers;
  at::Tensor final_norm;  // (H)
  at::Tensor head;        // (V, H); the same storage as embedding where the config ties them
};

// In which type, where, and in which form the matrices of the layers.
struct WeightsOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  LayerFormats forms = {};
};
Weights load_weights(const std::filesystem::path& model_folder, const Phi3Config& config,
                     const WeightsOptions& options);

// Every tensor that a checkpoint of this config holds, with its shape, in forward order.
struct NamedShape {
  std::string name;
  std::vector<std::int64_t> shape;
};
std::vector<NamedShape> expected_tensors(const Phi3Config& config);

}  // namespace nkat::models
