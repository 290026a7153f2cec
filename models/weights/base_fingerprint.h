// Which base model this is: a fingerprint of all weights, and one of the norms, which quantized files keep in float32.
//
// base_sha256: SHA-256 over the tensors sorted by name (bytewise), for each one
//   name, a zero byte, the stored dtype as safetensors spells it ("BF16"), a zero byte,
//   the dimensions in decimal joined by commas, a zero byte, the stored bytes (row-major, little-endian)
// so that sharding, order and metadata don't matter; computed tensors (is_computed_tensor) are left out. Cached in
// core's cache folder by path, size and modification time of every file.
//
// norms_sha256: SHA-256 over the norms in forward order, for each one
//   name in the checkpoint, a zero byte, its length in decimal, a zero byte, the values as float32 (little-endian)
// Equal norms don't prove equal weights: a fine-tune whose norms were frozen has its base's.
#pragma once

#include <filesystem>
#include <string>

#include "models/config.h"
#include "models/weights/weight_source.h"

namespace nkat::models {

// 64 lower-case hexadecimal digits. Errors: as SafetensorsFolder; Interrupted.
std::string base_sha256(const std::filesystem::path& model_folder);

std::string norms_sha256(const ModelConfig& config, const WeightSource& weights);
// Errors: as SafetensorsWeights; DataError for a missing folder.
std::string norms_sha256(const std::filesystem::path& model_folder, const ModelConfig& config);

}  // namespace nkat::models
