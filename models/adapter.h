// The adapter of a whole model: one rotation weight and one gate for each decoder layer from `first_layer` up, and the
// folder that holds them on disk (adapter_model.safetensors and adapter_config.json, shaped as PEFT users expect).
//
// Shapes: A = layers with an adapter (num_layers - first_layer), N = hidden_size / 8. Everything is float32 on the CPU
// (768 K numbers for Phi-3.5-mini); only the matrices M = I + σ(α) R are copied to the device, once per step.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/files/file.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"
#include "data/run/run_config.h"
#include "models/config.h"

namespace nkat::models {

// The two files of an adapter folder.
using data::kAdapterConfigFile;
using data::kAdapterModelFile;

struct Adapter {
  std::int64_t first_layer = 0;
  at::Tensor weight;  // (A, N, 8, 8) float32; only its skew part acts
  at::Tensor alpha;   // (A) float32

  std::int64_t count() const { return alpha.size(0); }
  // R = exp((W - Wᵀ)/2): (A, N, 8, 8) float32.
  at::Tensor rotations() const;
  // σ(α) of each layer.
  std::vector<double> gates() const;
  // M = I + σ(α) R of every layer of the model on `device`: (N, 8, 8) float32, undefined below first_layer.
  std::vector<at::Tensor> matrices(at::Device device) const { return matrices(gates(), rotations(), device); }
  // The same where gates and rotations are at hand.
  std::vector<at::Tensor> matrices(const std::vector<double>& gates, const at::Tensor& rotations,
                                   at::Device device) const;
};

struct AdapterInit {
  std::int64_t first_layer = 0;
  double alpha = data::kDefaultAlphaInit;
  double weight_std = 0.01;  // 0: R is exactly the identity
  std::uint64_t seed = 0;
};
// W ~ std N(0,1) from RandomStream(seed, "adapter-init", layer). ConfigError if the model has no layer first_layer, or
// hidden_size isn't a multiple of 8.
Adapter init_adapter(const ModelConfig& config, const AdapterInit& init);

// "layers.3.so8t.weight"; what: weight or alpha.
std::string adapter_tensor_name(std::int64_t layer, const char* what);

using data::BaseFingerprint;
// File name to bytes: the two files of an adapter folder.
std::map<std::string, std::string> serialize_adapter(const Adapter& adapter, const ModelConfig& config,
                                                     const BaseFingerprint& base);

struct LoadedAdapter {
  Adapter adapter;
  BaseFingerprint base;
};
// Checks type, version, sizes and finiteness. FormatError or ShapeError naming the file; DataError for a missing one.
LoadedAdapter load_adapter(const fs::path& folder, const ModelConfig& config);
// DataError with both fingerprints if the adapter was trained on another base.
void require_same_base(const LoadedAdapter& loaded, const std::string& base_sha256, const fs::path& folder);

// Is a GGUF file made from the base that an adapter was trained on, by its norms, which such files keep in float32? Equal
// norms don't prove equal weights, and quantized ones differ: logs a warning that says so. False for a folder, and for an
// adapter that names no norms.
bool meets_by_norms(const BaseFingerprint& trained_on, const fs::path& model, const ModelConfig& config);
// The same as require_same_base for a model as model_source.h takes it, or one that it meets by its norms.
void require_base_of(const LoadedAdapter& loaded, const fs::path& model, const ModelConfig& config,
                     const fs::path& folder);

}  // namespace nkat::models
