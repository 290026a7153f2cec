// Reads a file or folder whole, checks it, and reports what it holds.
//
// Known are GGUF and safetensors files, token caches, tokenizer.model, and model, adapter and checkpoint folders. What is
// damaged throws FormatError or DataError (exit 3) naming file, place, expected and found.
#pragma once

#include "core/files/file.h"
#include "data/inspect/inspection.h"

namespace nkat::data {

enum class Values { kAsTheyAre, kFinite };  // are all numbers read and required to be finite?

// The kind is told by a folder's files, and by a file's name, else its first bytes.
Inspection inspect(const fs::path& path, Values values);

}  // namespace nkat::data
