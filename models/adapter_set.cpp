#include "models/adapter_set.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/random.h"
#include "data/safetensors.h"
#include "layers/alpha_gate.h"
#include "layers/so8_rotation.h"
#include "models/tensor_bytes.h"

namespace nkat::models {
namespace {

constexpr const char* kPeftType = "NKAT_SO8T";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::uint64_t kConfigLimit = 1 << 20;
constexpr const char* kNormsKey = "base_norms_sha256";

std::string tensor_name(std::int64_t layer, const char* what) { return fmt::format("layers.{}.so8t.{}", layer, what); }

std::int64_t required_integer(const nlohmann::ordered_json& json, const char* key, const fs::path& path) {
  if (!json.contains(key) || !json[key].is_number_integer()) {
    throw FormatError(fmt::format("{}: key '{}' must be a whole number", path.string(), key));
  }
  return json[key].get<std::int64_t>();
}

std::string required_text(const nlohmann::ordered_json& json, const char* key, const fs::path& path) {
  if (!json.contains(key) || !json[key].is_string())
    throw FormatError(fmt::format("{}: key '{}' must be a text", path.string(), key));
  return json[key].get<std::string>();
}

// Reads adapter_config.json and returns the identity and the first layer.
std::pair<AdapterIdentity, std::int64_t> read_adapter_config(const fs::path& path, const Phi3Config& config) {
  const auto json = parse_json(read_file(path, kConfigLimit), path.string());
  const std::string type = required_text(json, "peft_type", path);
  if (type != kPeftType) {
    throw FormatError(fmt::format("{}: peft_type {} was expected, found {}; this is no NKAT-SO8T adapter",
                                  path.string(), kPeftType, type));
  }
  const std::int64_t version = required_integer(json, "version", path);
  if (version != kFormatVersion) {
    throw FormatError(fmt::format("{}: version {} was expected, found {}; use the release that wrote it", path.string(),
                                  kFormatVersion, version));
  }
  for (const auto& [key, expected] :
       {std::pair{"hidden_size", config.hidden_size}, std::pair{"num_hidden_layers", config.num_layers}}) {
    const std::int64_t found = required_integer(json, key, path);
    if (found != expected) {
      throw ShapeError(fmt::format("{}: {} is {}, the model's is {}; this adapter belongs to another model",
                                   path.string(), key, found, expected));
    }
  }
  const std::int64_t first = required_integer(json, "first_adapter_layer", path);
  if (first < 0 || first >= config.num_layers) {
    throw FormatError(fmt::format("{}: first_adapter_layer must be from 0 to {}, found {}", path.string(),
                                  config.num_layers - 1, first));
  }
  return {{required_text(json, "base_model_name_or_path", path), required_text(json, "base_sha256", path),
           json.contains(kNormsKey) ? required_text(json, kNormsKey, path) : ""},
          first};
}

at::Tensor read_tensor(const data::SafetensorsFile& file, const std::string& name, at::IntArrayRef shape,
                       const fs::path& path) {
  const data::TensorInfo* info = file.find(name);
  if (info == nullptr) throw FormatError(fmt::format("{}: the tensor '{}' is missing", path.string(), name));
  at::Tensor tensor = float32_tensor(file, *info, shape, path);
  if (!tensor.isfinite().all().item<bool>())
    throw FormatError(fmt::format("{}: the tensor '{}' holds a number that is not finite", path.string(), name));
  return tensor;
}

}  // namespace

at::Tensor AdapterSet::rotations() const { return layers::so8_rotation(weight); }

std::vector<double> AdapterSet::gates() const {
  std::vector<double> gates;
  for (std::int64_t i = 0; i < count(); ++i) gates.push_back(layers::gate(alpha[i].item<double>()));
  return gates;
}

std::vector<at::Tensor> AdapterSet::blocks(const at::Tensor& rotations, at::Device device) const {
  std::vector<at::Tensor> blocks(static_cast<std::size_t>(first_layer));
  const std::vector<double> opened = gates();
  for (std::int64_t i = 0; i < count(); ++i) {
    blocks.push_back(layers::gated_blocks(opened[static_cast<std::size_t>(i)], rotations[i]).to(device));
  }
  return blocks;
}

AdapterSet make_adapter(const Phi3Config& config, const AdapterStart& start) {
  if (config.hidden_size % 8 != 0) {
    throw ConfigError(
        fmt::format("the adapter needs a hidden_size that is a multiple of 8, found {}", config.hidden_size));
  }
  if (start.first_layer >= config.num_layers) {
    throw ConfigError(fmt::format("--first-adapter-layer: from 0 to {} was expected for this model, found {}",
                                  config.num_layers - 1, start.first_layer));
  }
  AdapterSet adapter;
  adapter.first_layer = start.first_layer;
  const std::int64_t layers = config.num_layers - start.first_layer;
  adapter.weight = at::zeros({layers, config.hidden_size / 8, 8, 8}, at::kFloat);
  adapter.alpha = at::full({layers}, start.alpha, at::kFloat);
  for (std::int64_t i = 0; i < layers && start.weight_std > 0; ++i) {
    RandomStream random(start.seed, "adapter-init", static_cast<std::uint64_t>(start.first_layer + i));
    const at::Tensor layer = adapter.weight[i];
    float* values = layer.data_ptr<float>();
    for (std::int64_t j = 0; j < layer.numel(); ++j) values[j] = static_cast<float>(start.weight_std * random.normal());
  }
  return adapter;
}

std::map<std::string, std::string> serialize_adapter(const AdapterSet& adapter, const Phi3Config& config,
                                                     const AdapterIdentity& identity) {
  std::vector<data::TensorToWrite> tensors;
  for (std::int64_t i = 0; i < adapter.count(); ++i) {
    tensors.push_back(float32_to_write(tensor_name(adapter.first_layer + i, "weight"), adapter.weight[i]));
    tensors.push_back(float32_to_write(tensor_name(adapter.first_layer + i, "alpha"), adapter.alpha[i]));
  }
  nlohmann::ordered_json json = {{"peft_type", kPeftType},
                                 {"version", kFormatVersion},
                                 {"base_model_name_or_path", identity.base_model_name_or_path},
                                 {"hidden_size", config.hidden_size},
                                 {"num_hidden_layers", config.num_layers},
                                 {"first_adapter_layer", adapter.first_layer},
                                 {"base_sha256", identity.base_sha256}};
  if (!identity.base_norms_sha256.empty()) json[kNormsKey] = identity.base_norms_sha256;
  return {{kAdapterModelFile, data::serialize_safetensors(tensors, {{"format", "pt"}})},
          {kAdapterConfigFile, json.dump(2) + "\n"}};
}

LoadedAdapter load_adapter(const fs::path& folder, const Phi3Config& config) {
  LoadedAdapter loaded;
  std::tie(loaded.identity, loaded.adapter.first_layer) = read_adapter_config(folder / kAdapterConfigFile, config);
  const fs::path path = folder / kAdapterModelFile;
  const data::SafetensorsFile file(path);
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> alphas;
  for (std::int64_t layer = loaded.adapter.first_layer; layer < config.num_layers; ++layer) {
    weights.push_back(read_tensor(file, tensor_name(layer, "weight"), {config.hidden_size / 8, 8, 8}, path));
    alphas.push_back(read_tensor(file, tensor_name(layer, "alpha"), {}, path));
  }
  if (file.tensors().size() != 2 * weights.size()) {
    throw FormatError(fmt::format("{}: {} tensors were expected, found {}", path.string(), 2 * weights.size(),
                                  file.tensors().size()));
  }
  loaded.adapter.weight = at::stack(weights);
  loaded.adapter.alpha = at::stack(alphas);
  return loaded;
}

void require_same_base(const LoadedAdapter& loaded, const std::string& base_sha256, const fs::path& folder) {
  if (loaded.identity.base_sha256 == base_sha256) return;
  throw DataError(
      fmt::format("{}: this adapter was trained on a base with SHA-256 {} ({}), the given model has {}; use the model "
                  "it was trained on",
                  folder.string(), loaded.identity.base_sha256, loaded.identity.base_model_name_or_path, base_sha256));
}

}  // namespace nkat::models
