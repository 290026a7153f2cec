// The frozen weights of a model, read tensor by tensor into the type and device they compute in; what a family stores
// apart (query, key and value rows, gate and up rows) is stacked on the way.
//
// A tensor's source pages are released once it is converted, so the model is never in memory twice. Matrices above 512
// MiB are read in pieces of whole rows, and those held quantized (weight_format.h) in pieces of 16 MiB. Errors: those
// of SafetensorsWeights, before anything is allocated; FormatError for values that are NaN or infinite (their bits are
// tested); Interrupted.
#pragma once

#include <filesystem>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/quantized/weight.h"
#include "models/config.h"
#include "models/tensor_table.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

struct LayerWeights {
  at::Tensor input_norm;            // (H)
  layers::Weight qkv;               // ((heads + 2 kv heads) head_dim, H)
  layers::Weight attention_output;  // (H, heads head_dim)
  at::Tensor post_attention_norm;   // (H)
  layers::Weight gate_up;           // (2F, H): gate rows, then up rows
  layers::Weight down;              // (H, F)

  at::Tensor query_norm = {};       // (head_dim); undefined where heads have no norms
  at::Tensor key_norm = {};         // (head_dim)

  at::Tensor& norm(TensorRole role);
  layers::Weight& matrix(TensorRole role);
  const layers::Weight& matrix(TensorRole role) const;
};

// No tensor requires a gradient.
struct Weights {
  at::Tensor embedding;  // (V, H)
  std::vector<LayerWeights> layers;
  at::Tensor final_norm;  // (H)
  at::Tensor head;        // (V, H); the same storage as embedding where the config ties them
};

// forms: how the layers' matrices are held.
struct WeightsOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  LayerFormats forms = {};
};
Weights load_weights(const std::filesystem::path& model_folder, const ModelConfig& config,
                     const WeightsOptions& options);

}  // namespace nkat::models
