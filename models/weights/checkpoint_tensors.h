// Is this a checkpoint of this config? Names, types and shapes, before anything is allocated.
#pragma once

#include <string>

#include <c10/core/ScalarType.h>

#include "data/formats/safetensors.h"
#include "models/config.h"

namespace nkat::models {

// FormatError for a missing or unexpected tensor or a type other than F32, F16, BF16; ShapeError for another shape.
// where: the folder, for messages.
void check_checkpoint(const data::SafetensorsFolder& folder, const Phi3Config& config, const std::string& where);

inline constexpr const char* kEmbeddingTensor = "model.embed_tokens.weight";
// The checkpoint's tensor that makes logits: of a tied model the embedding.
std::string head_tensor(const Phi3Config& config);

// How a weight is stored; FormatError for a type that no checkpoint may have.
at::ScalarType stored_type(const data::TensorInfo& info);

}  // namespace nkat::models
