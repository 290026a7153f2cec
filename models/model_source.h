// A model as --model-path names it: a folder in Hugging Face format, or a GGUF file (of a split one its first part). What
// a command needs of either, through one function each; tokenizer and template: model_folder.h. No LibTorch.
//
// Errors: those of read_model_config and SafetensorsWeights for a folder, of GgufFile::with_all_parts, model_config_from and
// GgufWeights for a file.
#pragma once

#include <filesystem>
#include <memory>

#include "models/config.h"
#include "models/weights/weight_source.h"

namespace nkat::models {

ModelConfig open_model_config(const std::filesystem::path& model);
std::unique_ptr<const WeightSource> open_weights(const std::filesystem::path& model, const ModelConfig& config);

}  // namespace nkat::models
