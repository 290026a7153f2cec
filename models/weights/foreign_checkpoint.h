// Checkpoints that look like a model and hold something else: quantized weights, adapters that aren't merged, modules that
// were saved with their wrapper around them, a model without its head. Told by the names of their tensors, since config.json
// often says nothing or, after a conversion, something that no longer holds.
#pragma once

#include <filesystem>

#include "data/formats/safetensors_folder.h"

namespace nkat::models {

// FormatError that names the file, a tensor, what it is and what to use instead. Returns if nothing of it is known, which
// doesn't mean that the tensors are those of a model.
void refuse_foreign_checkpoint(const data::SafetensorsFolder& folder, const std::filesystem::path& model_folder);

}  // namespace nkat::models
