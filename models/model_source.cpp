#include "models/model_source.h"

#include "data/formats/gguf_reader.h"
#include "models/gguf_config.h"
#include "models/weights/gguf_weights.h"

namespace nkat::models {

ModelConfig open_model_config(const std::filesystem::path& model) {
  if (gguf::is_gguf_model(model)) return model_config_from(gguf::GgufFile::with_all_parts(model));
  return read_model_config(model);
}

std::unique_ptr<const WeightSource> open_weights(const std::filesystem::path& model, const ModelConfig& config) {
  if (!gguf::is_gguf_model(model)) return std::make_unique<const SafetensorsWeights>(model, config);
  return std::make_unique<const GgufWeights>(
      std::make_shared<const gguf::GgufFile>(gguf::GgufFile::with_all_parts(model)), config);
}

}  // namespace nkat::models
