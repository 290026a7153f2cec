// The head of a tied model that a folder stores all the same. No LibTorch.
#pragma once

#include <filesystem>

namespace nkat::models {

// Does the folder hold an lm_head.weight whose type, shape or bytes differ from the embedding's? False for a folder
// without weights: a config alone can be planned with. Errors: as SafetensorsFolder.
bool stores_another_head(const std::filesystem::path& model_folder);

}  // namespace nkat::models
