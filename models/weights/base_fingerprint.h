// The identity of a base model: which weights an adapter was trained on.
//
// SHA-256 over the tensors sorted by name (bytewise), for each one:
//   name, a zero byte, the stored dtype as safetensors spells it ("BF16"), a zero byte,
//   the dimensions in decimal joined by commas, a zero byte, the stored bytes (row-major, little-endian)
// so that sharding, order and metadata don't matter. `*.rotary_emb.inv_freq` (computed values that some writers store)
// is left out. The result is cached in core's cache folder by path, size and modification time of every file.
#pragma once

#include <filesystem>
#include <string>

namespace nkat::models {

// 64 lower-case hexadecimal digits. Errors: as SafetensorsFolder; Interrupted if a stop is asked for.
std::string base_sha256(const std::filesystem::path& model_folder);

}  // namespace nkat::models
