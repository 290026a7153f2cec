#include "models/adapter.h"

#include <tuple>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"
#include "core/random.h"
#include "data/formats/gguf_reader.h"
#include "data/formats/safetensors.h"
#include "layers/gate.h"
#include "layers/so8_rotation.h"
#include "models/weights/base_fingerprint.h"
#include "models/weights/tensor_io.h"

namespace nkat::models {
namespace {

// Of an adapter that fits the model.
data::AdapterConfig fitting_config(const fs::path& folder, const ModelConfig& model) {
  data::AdapterConfig config = data::read_adapter_config(folder);
  for (const auto& [key, found, wanted] :
       {std::tuple{"hidden_size", config.hidden_size, model.hidden_size},
        std::tuple{"num_hidden_layers", config.num_hidden_layers, model.num_layers}}) {
    if (found == wanted) continue;
    throw ShapeError(fmt::format("{}: {}: {}", (folder / kAdapterConfigFile).string(), key,
                                 expected(fmt::format("the model's {}", wanted), std::to_string(found),
                                          "this adapter belongs to another model")));
  }
  return config;
}

at::Tensor read_finite(const data::SafetensorsFile& file, const std::string& name, at::IntArrayRef shape) {
  at::Tensor tensor = read_float32(file, name, shape);
  if (!tensor.isfinite().all().item<bool>())
    throw FormatError(fmt::format("{}: tensor '{}' holds a value that is NaN or infinite", file.path().string(), name));
  return tensor;
}

}  // namespace

at::Tensor Adapter::rotations() const { return layers::so8_rotation(weight); }

std::vector<double> Adapter::gates() const {
  std::vector<double> gates;
  for (std::int64_t i = 0; i < count(); ++i) gates.push_back(layers::sigmoid(alpha[i].item<double>()));
  return gates;
}

std::vector<at::Tensor> Adapter::matrices(const std::vector<double>& gates, const at::Tensor& rotations,
                                          at::Device device) const {
  std::vector<at::Tensor> matrices(static_cast<std::size_t>(first_layer));
  for (std::int64_t i = 0; i < count(); ++i) {
    matrices.push_back(layers::adapter_matrix(gates[static_cast<std::size_t>(i)], rotations[i]).to(device));
  }
  return matrices;
}

Adapter init_adapter(const ModelConfig& config, const AdapterInit& init) {
  if (config.hidden_size % 8 != 0) {
    throw ConfigError("hidden_size: " +
                      expected("a multiple of 8, as the adapter needs", std::to_string(config.hidden_size)));
  }
  if (init.first_layer >= config.num_layers) {
    throw ConfigError("--first-adapter-layer: " + expected(fmt::format("0 to {} for this model", config.num_layers - 1),
                                                           std::to_string(init.first_layer)));
  }
  Adapter adapter;
  adapter.first_layer = init.first_layer;
  const std::int64_t layers = config.num_layers - init.first_layer;
  adapter.weight = at::zeros({layers, config.hidden_size / 8, 8, 8}, at::kFloat);
  adapter.alpha = at::full({layers}, init.alpha, at::kFloat);
  for (std::int64_t i = 0; i < layers && init.weight_std > 0; ++i) {
    RandomStream random(init.seed, "adapter-init", static_cast<std::uint64_t>(init.first_layer + i));
    const at::Tensor layer = adapter.weight[i];
    float* values = layer.data_ptr<float>();
    for (std::int64_t j = 0; j < layer.numel(); ++j) values[j] = static_cast<float>(init.weight_std * random.normal());
  }
  return adapter;
}

std::string adapter_tensor_name(std::int64_t layer, const char* what) {
  return fmt::format("layers.{}.so8t.{}", layer, what);
}

std::map<std::string, std::string> serialize_adapter(const Adapter& adapter, const ModelConfig& config,
                                                     const BaseFingerprint& base) {
  std::vector<data::TensorToWrite> tensors;
  for (std::int64_t i = 0; i < adapter.count(); ++i) {
    tensors.push_back(float32_to_write(adapter_tensor_name(adapter.first_layer + i, "weight"), adapter.weight[i]));
    tensors.push_back(float32_to_write(adapter_tensor_name(adapter.first_layer + i, "alpha"), adapter.alpha[i]));
  }
  const data::AdapterConfig text{.base = base,
                                 .hidden_size = config.hidden_size,
                                 .num_hidden_layers = config.num_layers,
                                 .first_adapter_layer = adapter.first_layer};
  return {{kAdapterModelFile, data::serialize_safetensors(tensors, {{"format", "pt"}})},
          {kAdapterConfigFile, data::adapter_config_text(text)}};
}

LoadedAdapter load_adapter(const fs::path& folder, const ModelConfig& config) {
  LoadedAdapter loaded;
  const data::AdapterConfig stated = fitting_config(folder, config);
  loaded.base = stated.base;
  loaded.adapter.first_layer = stated.first_adapter_layer;
  const fs::path path = folder / kAdapterModelFile;
  const data::SafetensorsFile file(path);
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> alphas;
  for (std::int64_t layer = loaded.adapter.first_layer; layer < config.num_layers; ++layer) {
    weights.push_back(read_finite(file, adapter_tensor_name(layer, "weight"), {config.hidden_size / 8, 8, 8}));
    alphas.push_back(read_finite(file, adapter_tensor_name(layer, "alpha"), {}));
  }
  if (file.tensors().size() != 2 * weights.size()) {
    throw FormatError(
        fmt::format("{}: {}", path.string(),
                    expected(fmt::format("{} tensors", 2 * weights.size()), std::to_string(file.tensors().size()))));
  }
  loaded.adapter.weight = at::stack(weights);
  loaded.adapter.alpha = at::stack(alphas);
  return loaded;
}

void require_same_base(const LoadedAdapter& loaded, const std::string& base_sha256, const fs::path& folder) {
  if (loaded.base.base_sha256 == base_sha256) return;
  throw DataError(
      fmt::format("{}: this adapter was trained on a base with SHA-256 {} ({}), the given model has {}; use the model "
                  "it was trained on",
                  folder.string(), loaded.base.base_sha256, loaded.base.base_model_name_or_path, base_sha256));
}

bool meets_by_norms(const BaseFingerprint& trained_on, const fs::path& model, const ModelConfig& config) {
  if (!gguf::is_gguf_model(model) || trained_on.base_norms_sha256.empty()) return false;
  if (norms_sha256(model, config) != trained_on.base_norms_sha256) return false;
  log::warning(fmt::format(
      "the adapter was trained on other weights ({}) with the norms of {}: it is taken for a quantized file "
      "of that base. Rounded weights change what the rotations act on; nkat eval shows how much",
      trained_on.base_model_name_or_path, model.string()));
  return true;
}

void require_base_of(const LoadedAdapter& loaded, const fs::path& model, const ModelConfig& config,
                     const fs::path& folder) {
  const std::string found = base_sha256(model);
  if (loaded.base.base_sha256 == found || meets_by_norms(loaded.base, model, config)) return;
  require_same_base(loaded, found, folder);
}

}  // namespace nkat::models
