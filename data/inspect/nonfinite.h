// Reads a tensor's numbers and refuses the first that is NaN or infinite.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/formats/safetensors.h"
#include "data/quantize/ggml_type.h"

namespace nkat::gguf {

// Throws FormatError "<who>: element N ...". Integers hold no such numbers: true, without reading them.
void require_finite(data::DType type, std::span<const std::byte> bytes, const std::string& who);
// The same for blocks, decoded. False if the type has no decoder here: nothing was checked.
bool require_finite(GgmlType type, std::span<const std::byte> blocks, const std::string& who);

}  // namespace nkat::gguf
