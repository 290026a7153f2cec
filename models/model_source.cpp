#include "models/model_source.h"

#include <fmt/format.h>

#include "core/error.h"
#include "data/formats/gguf_reader.h"
#include "models/gguf_config.h"
#include "models/weights/gguf_weights.h"

namespace nkat::models {
namespace {

// A folder that someone downloaded GGUF files into is no model folder, but holds a model all the same.
void refuse_folder_of_gguf_files(const std::filesystem::path& model) {
  if (!std::filesystem::is_directory(model) || std::filesystem::exists(model / "config.json")) return;
  std::string first;
  for (const auto& entry : std::filesystem::directory_iterator(model)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".gguf") && (first.empty() || name < first)) first = name;
  }
  if (first.empty()) return;
  throw DataError(
      fmt::format("{}: this folder holds no config.json, but {}; name the file itself", model.string(), first));
}

}  // namespace

ModelConfig open_model_config(const std::filesystem::path& model) {
  if (gguf::is_gguf_model(model)) return model_config_from(gguf::GgufFile::with_all_parts(model));
  refuse_folder_of_gguf_files(model);
  return read_model_config(model);
}

std::unique_ptr<const WeightSource> open_weights(const std::filesystem::path& model, const ModelConfig& config) {
  if (!gguf::is_gguf_model(model)) return std::make_unique<const SafetensorsWeights>(model, config);
  return std::make_unique<const GgufWeights>(
      std::make_shared<const gguf::GgufFile>(gguf::GgufFile::with_all_parts(model)), config);
}

}  // namespace nkat::models
