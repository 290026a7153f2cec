#include "models/weights/norm_fingerprint.h"

#include <algorithm>
#include <cstring>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "data/formats/safetensors.h"
#include "models/weights/checkpoint_tensors.h"

namespace nkat::models {

std::vector<std::string> norm_names(const Phi3Config& config) {
  std::vector<std::string> names;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      names.push_back(fmt::format("model.layers.{}.{}.weight", layer, norm));
  }
  names.emplace_back("model.norm.weight");
  return names;
}

std::string norms_sha256(const Phi3Config& config, const ReadNorm& read) {
  Sha256 hash;
  std::vector<float> values(static_cast<std::size_t>(config.hidden_size));
  for (const std::string& name : norm_names(config)) {
    read(name, values);
    hash.update(fmt::format("{}{}{}{}", name, '\0', values.size(), '\0'));
    hash.update(std::as_bytes(std::span(values)));
  }
  return hash.hex();
}

std::string norms_sha256(const std::filesystem::path& model_folder, const Phi3Config& config) {
  const data::SafetensorsFolder folder(model_folder);
  check_checkpoint(folder, config, model_folder.string());
  return norms_sha256(config, [&](const std::string& name, std::span<float> out) {
    const auto [file, info] = *folder.find(name);
    const std::span<const std::byte> bytes = file->bytes(*info);
    at::Tensor stored = at::empty(info->shape, stored_type(*info));
    std::memcpy(stored.data_ptr(), bytes.data(), bytes.size());
    const at::Tensor values = stored.to(at::kFloat);
    std::copy_n(values.const_data_ptr<float>(), out.size(), out.begin());
    file->release(*info);
  });
}

}  // namespace nkat::models
