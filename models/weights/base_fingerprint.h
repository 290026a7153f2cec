// Which base model this is: a fingerprint of all weights, and one of the norms, which quantized files keep in float32.
//
// base_sha256: SHA-256 over the tensors sorted by name (bytewise), for each one
//   name, a zero byte, the stored dtype as safetensors spells it ("BF16"), a zero byte,
//   the dimensions in decimal joined by commas, a zero byte, the stored bytes (row-major, little-endian)
// so that sharding, order and metadata don't matter; computed tensors (is_computed_tensor) are left out. A GGUF file's is
// that of the folder it stands for: the checkpoint's names and shapes, "F32", the decoded values; so a file, its parts
// where it is split, and a float32 folder of its values have one hash. Cached in core's cache folder by path, size and
// modification time of every file.
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

// 64 lower-case hexadecimal digits. model: as model_source.h takes it. Errors: as SafetensorsFolder, of a GGUF file as
// open_weights; Interrupted.
std::string base_sha256(const std::filesystem::path& model);

std::string norms_sha256(const ModelConfig& config, const WeightSource& weights);
// Errors: as open_weights; DataError for a missing folder.
std::string norms_sha256(const std::filesystem::path& model, const ModelConfig& config);

}  // namespace nkat::models
