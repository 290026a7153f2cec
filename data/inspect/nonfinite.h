// Reads a tensor's numbers and refuses the first that is NaN or infinite.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/formats/safetensors.h"
#include "data/quantize/ggml_type.h"

namespace nkat::data {

// Throws FormatError "<who>: element N ...". Integers are always finite and are not read.
void require_finite(DType type, std::span<const std::byte> bytes, const std::string& who);
// The same for blocks, decoded. False if the type has no decoder here: nothing was checked.
bool require_finite(gguf::GgmlType type, std::span<const std::byte> blocks, const std::string& who);

}  // namespace nkat::data
