// Which base model a file was made from, as far as its norms tell: quantized files keep them in float32, so that the
// norms of a GGUF file can be compared with those that an adapter was trained on, bit for bit.
//
// SHA-256 over the norm tensors in forward order, for each one:
//   name in the checkpoint, a zero byte, its length in decimal, a zero byte, the values as float32 (little-endian)
//
// Promise: other norms give another hash. Equal ones don't prove equal weights: a fine-tune whose norms were frozen has
// its base's. base_fingerprint.h is the proof over all weights. Errors: as check_checkpoint; DataError for a missing folder.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"

namespace nkat::models {

// Of each layer the norms before attention and before the MLP, then the final one. hidden_size numbers each.
std::vector<std::string> norm_names(const Phi3Config& config);

// read: fills `out` with the values of the tensor of that name.
using ReadNorm = std::function<void(const std::string& name, std::span<float> out)>;
std::string norms_sha256(const Phi3Config& config, const ReadNorm& read);
// Of a model folder in Hugging Face format.
std::string norms_sha256(const std::filesystem::path& model_folder, const Phi3Config& config);

}  // namespace nkat::models
